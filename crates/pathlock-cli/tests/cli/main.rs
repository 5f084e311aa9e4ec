//! The command, driven as its users drive it: as a process, through its arguments, its streams, its
//! exit code and signals. Nothing sleeps: a command under test prints a line once it runs, and ends
//! when the pipe to its stdin is closed.

#![cfg(unix)]

mod breaking;
#[cfg(target_os = "linux")]
mod closing;
#[cfg(target_os = "linux")]
mod contenders;
#[cfg(target_os = "linux")]
mod database;
mod doctor;
mod document;
mod environment;
#[cfg(target_os = "linux")]
mod fd;
#[cfg(target_os = "linux")]
mod flock_table;
mod json;
mod limits;
mod list;
mod mistakes;
mod printed;
mod run;
mod several;
mod sharing;
mod signals;
#[cfg(target_os = "linux")]
mod slots;
mod status;
#[cfg(target_os = "linux")]
mod survival;
#[cfg(target_os = "linux")]
mod terminal;
mod usage;
mod verbose;
mod wait;
mod waiting;
mod world;

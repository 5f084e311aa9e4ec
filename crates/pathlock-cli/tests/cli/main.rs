//! The command, driven as its users drive it: as a process, through its arguments, its streams, its
//! exit code and signals. Nothing sleeps: a command under test prints a line once it runs, and ends
//! when the pipe to its stdin is closed.

#![cfg(unix)]

mod breaking;
mod doctor;
mod document;
mod environment;
mod run;
mod signals;
mod status;
#[cfg(target_os = "linux")]
mod survival;
#[cfg(target_os = "linux")]
mod terminal;
mod usage;
mod waiting;
mod world;

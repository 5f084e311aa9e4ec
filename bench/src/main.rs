//! `pathlock-bench`: what a lock costs, beside the bare system calls and the peers. `cargo xtask bench` sets up what it
//! needs, and runs it.

#[cfg(target_os = "linux")]
mod actor;
#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
mod contender;
#[cfg(target_os = "linux")]
mod crew;
#[cfg(target_os = "linux")]
mod cycle;
#[cfg(target_os = "linux")]
mod fairness;
#[cfg(target_os = "linux")]
mod floor;
#[cfg(target_os = "linux")]
mod handover;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod plots;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod results;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod scale;
#[cfg(target_os = "linux")]
mod stats;
#[cfg(target_os = "linux")]
mod targets;
#[cfg(target_os = "linux")]
mod waiting;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["actor", lock, path] => actor::run(lock, std::path::Path::new(path)),
        ["report", directory] => report::again(std::path::Path::new(directory)),
        _ => run::run(&words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pathlock-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("pathlock-bench: it measures on Linux alone");
    ExitCode::FAILURE
}

//! The program `pathlock-verify`: see the library's module `program`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    return verify::program::main();
    #[cfg(not(target_os = "linux"))]
    {
        eprintln!("pathlock-verify: it needs the processes and the tracer of Linux");
        ExitCode::from(2)
    }
}

//! `pathlock completions` and `pathlock man`: what shells and manuals show, made from the arguments.

use std::io::{self, Write};

use clap::CommandFactory;

use crate::args::{Cli, Completions, Man};
use crate::exit::{self, Failure};
use crate::say::shown;

pub(crate) fn completions(args: &Completions) -> Result<i32, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pathlock", &mut script);
    match io::stdout().write_all(&script) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(exit::CANNOT_WRITE, format_args!("can't write to stdout: {error}")))
        }
        _ => Ok(exit::SUCCESS),
    }
}

pub(crate) fn man(args: &Man) -> Result<i32, Failure> {
    let write = || {
        std::fs::create_dir_all(&args.directory)?;
        clap_mangen::generate_to(Cli::command(), &args.directory)
    };
    write().map_err(|error| {
        let message = format!("can't write the pages into {}: {error}", shown(&args.directory));
        Failure::new(exit::CANNOT_WRITE, message)
    })?;
    Ok(exit::SUCCESS)
}

//! `pathlock wait`: until a lock is free, without taking it. There is nothing to undo, so signals end
//! it as they end any program.

use std::sync::Arc;
use std::time::Instant;

use crate::args::Wait;
use crate::environment;
use crate::exit::{self, Failure};
use crate::json::{self, Event};
use crate::say::{say, shown, tell};
use crate::waiting::{Voice, Waiting};

pub(crate) fn wait(args: &Wait) -> Result<i32, Failure> {
    let voice = match (args.json, args.quiet) {
        (true, _) => Voice::Json,
        (false, true) => Voice::Quiet,
        (false, false) => Voice::Plain,
    };
    let waiting = Arc::new(Waiting::new(voice, args.patience.timeout()));
    let hear = Arc::clone(&waiting);
    let lock = args.how.open(&args.path).on_wait(move |event| hear.hear(event));
    // A look that fails tells nothing: the wait will say why.
    if let Ok(status) = lock.status()
        && status.is_locked()
        && environment::is_held_by_ancestor(lock.lock_file(), status.owner())
    {
        return Err(environment::never_ends(lock.path()));
    }
    let began = Instant::now();
    let result = lock.wait_free(args.patience.timeout());
    let waited = waiting.end();
    result.map_err(|error| Failure::locking(&error, args.patience.busy_code()))?;
    match (voice, waited) {
        (Voice::Json, _) => {
            tell(&Event::Free { path: json::path(lock.path()), waited: began.elapsed().as_secs_f64() });
        }
        (Voice::Plain, Some(waited)) if !waiting.was_live() => {
            say(format_args!("{} is free after {:.1} s", shown(lock.path()), waited.as_secs_f64()));
        }
        _ => {}
    }
    Ok(exit::SUCCESS)
}

//! What is told while we wait: on a terminal one live line, elsewhere one line when the wait
//! begins and one when it ends.
//!
//! Nothing here is made before a wait begins, and the live line is gone before anything else is
//! printed.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use pathlock::{Timeout, WaitEvent};

use crate::say::{say, shown};

/// One wait, as people see it.
#[derive(Debug)]
pub(crate) struct Waiting {
    timeout: Timeout,
    begun: OnceLock<Begun>,
}

#[derive(Debug)]
struct Begun {
    path: String,
    at: Instant,
    /// Hidden where stderr is no terminal that can rewrite a line.
    line: ProgressBar,
}

impl Waiting {
    pub(crate) fn new(timeout: Timeout) -> Waiting {
        Waiting { timeout, begun: OnceLock::new() }
    }

    /// Hears from the library: the wait has begun, the owner has changed, or nothing has.
    pub(crate) fn hear(&self, event: &WaitEvent) {
        let first = self.begun.get().is_none();
        let begun = self.begun.get_or_init(|| Begun {
            path: shown(event.path),
            at: Instant::now().checked_sub(event.waited).unwrap_or_else(Instant::now),
            line: live_line(event.deadline),
        });
        let holder = event.owner.map(|owner| format!(", held by {owner}")).unwrap_or_default();
        if !begun.line.is_hidden() {
            begun.line.set_message(format!("{}{holder}", begun.path));
        } else if first {
            let limit = match self.timeout {
                Timeout::After(limit) => format!(", for at most {} s", limit.as_secs_f64()),
                Timeout::NoWait | Timeout::Never => String::new(),
            };
            say(format_args!("waiting for {}{holder}{limit}", begun.path));
        }
    }

    /// The wait has ended; why it failed, if it did, is for the caller to say.
    pub(crate) fn end(&self, acquired: bool) {
        let Some(begun) = self.begun.get() else { return };
        if !begun.line.is_hidden() {
            begun.line.finish_and_clear();
        } else if acquired {
            say(format_args!("got {} after {:.1} s", begun.path, begun.at.elapsed().as_secs_f64()));
        }
    }
}

/// A line that counts the seconds by itself. In one colour, so there is none for `NO_COLOR` to
/// take away.
fn live_line(deadline: Option<Instant>) -> ProgressBar {
    let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if line.is_hidden() {
        return line;
    }
    let style = ProgressStyle::with_template("pathlock: waiting {seconds} for {wide_msg}")
        .expect("the template is a constant")
        .with_key("seconds", move |state: &ProgressState, line: &mut dyn std::fmt::Write| {
            // A line that can't be written to is not shown; there is nobody to tell.
            let _ = write!(line, "{} s", state.elapsed().as_secs());
            if let Some(deadline) = deadline {
                let left = deadline.saturating_duration_since(Instant::now());
                let _ = write!(line, " ({} s left)", left.as_secs_f64().ceil());
            }
        });
    line.set_style(style);
    line.enable_steady_tick(Duration::from_secs(1));
    line
}

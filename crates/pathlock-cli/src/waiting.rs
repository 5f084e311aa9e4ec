//! What is told while we wait: on a terminal one live line, elsewhere one line when the wait
//! begins and one when it ends; or JSON.
//!
//! Nothing here is made before a wait begins, and the live line is gone before anything else is
//! printed.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use pathlock::{Owner, Timeout, WaitEvent};

use crate::json::{self, Event};
use crate::say::{say, shown, tell};

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    Quiet,
    Plain,
    Json,
}

/// One wait, as people see it.
#[derive(Debug)]
pub(crate) struct Waiting {
    voice: Voice,
    timeout: Timeout,
    begun: OnceLock<Begun>,
}

#[derive(Debug)]
struct Begun {
    at: Instant,
    /// What was waited for when it was last told.
    path: Mutex<String>,
    /// When the present owner has got the lock.
    since: Arc<Mutex<Option<SystemTime>>>,
    /// Hidden where stderr is no terminal that can rewrite a line.
    line: ProgressBar,
}

impl Waiting {
    pub(crate) fn new(voice: Voice, timeout: Timeout) -> Waiting {
        Waiting { voice, timeout, begun: OnceLock::new() }
    }

    /// Hears from the library: the wait has begun, the owner has changed, or nothing has.
    pub(crate) fn hear(&self, event: &WaitEvent) {
        if self.voice == Voice::Json {
            tell(&Event::Waiting {
                path: json::path(event.path),
                lock_file: json::path(event.lock_file),
                owner: event.owner.map(Into::into),
                waited: event.waited.as_secs_f64(),
                limit: self.limit().map(|limit| limit.as_secs_f64()),
            });
        }
        let begun = self.begun.get_or_init(|| {
            let since = Arc::default();
            let line = if self.voice == Voice::Plain {
                live_line(event.deadline, Arc::clone(&since))
            } else {
                ProgressBar::hidden()
            };
            let at = Instant::now().checked_sub(event.waited).unwrap_or_else(Instant::now);
            Begun { at, path: Mutex::default(), since, line }
        });
        let path = shown(event.path);
        let first = {
            let mut last = begun.path.lock().unwrap_or_else(PoisonError::into_inner);
            let first = *last != path;
            last.clone_from(&path);
            first
        };
        if !begun.line.is_hidden() {
            *begun.since.lock().unwrap_or_else(PoisonError::into_inner) = event.owner.and_then(Owner::since);
            begun.line.set_message(describe(&path, event));
        } else if first && self.voice == Voice::Plain {
            let holder = match event.owner {
                Some(owner) => format!(", held by {owner}"),
                None => format!(": {}", event.detail),
            };
            let limit = self.limit().map(|limit| format!(", for at most {} s", limit.as_secs_f64()));
            say(format_args!("waiting for {path}{holder}{}", limit.unwrap_or_default()));
        }
    }

    fn limit(&self) -> Option<Duration> {
        match self.timeout {
            Timeout::After(limit) => Some(limit),
            Timeout::NoWait | Timeout::Never => None,
        }
    }

    /// The wait has ended. Returns how long it was, if there was any.
    pub(crate) fn end(&self) -> Option<Duration> {
        let begun = self.begun.get()?;
        begun.line.finish_and_clear();
        Some(begun.at.elapsed())
    }

    /// Whether the wait was shown by a line that is gone now.
    pub(crate) fn was_live(&self) -> bool {
        self.begun.get().is_some_and(|begun| !begun.line.is_hidden())
    }
}

/// The holder and the lock: what a narrow terminal cuts off is the path, which is known.
fn describe(path: &str, event: &WaitEvent) -> String {
    let Some(owner) = event.owner else { return format!("by somebody ({}): {path}", event.detail) };
    let mut text = format!("by pid {}", owner.pid());
    if !owner.command().is_empty() {
        let command: String = owner.command().chars().take(60).collect();
        let _ = write!(text, " ({})", shown(command.as_ref()));
    }
    if let Some(user) = owner.user() {
        let _ = write!(text, " of {}", user_name(user).unwrap_or_else(|| user.to_string()));
    }
    if !owner.host().is_empty() {
        let _ = write!(text, " on {}", shown(owner.host().as_ref()));
    }
    let _ = write!(text, ": {path}");
    text
}

/// The name of a user that the machine itself knows. Others are known by their number.
fn user_name(id: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').nth(2) == Some(&id.to_string()))?;
    Some(shown(line.split(':').next()?.as_ref()))
}

/// A line that counts the seconds by itself. In one colour, so there is none for `NO_COLOR` to
/// take away.
fn live_line(deadline: Option<Instant>, since: Arc<Mutex<Option<SystemTime>>>) -> ProgressBar {
    let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if line.is_hidden() {
        return line;
    }
    let style = ProgressStyle::with_template("pathlock: waiting {seconds} {wide_msg}")
        .expect("the template is a constant")
        .with_key("seconds", move |state: &ProgressState, line: &mut dyn std::fmt::Write| {
            // A line that can't be written to is not shown; there is nobody to tell.
            let _ = write!(line, "{} s", state.elapsed().as_secs());
            if let Some(deadline) = deadline {
                let left = deadline.saturating_duration_since(Instant::now());
                let _ = write!(line, ", {} s left", left.as_secs_f64().ceil());
            }
            let since = *since.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = match since.and_then(|since| since.elapsed().ok()) {
                Some(held) => write!(line, "; held for {} s", held.as_secs()),
                None => write!(line, "; held"),
            };
        });
    line.set_style(style);
    line.enable_steady_tick(Duration::from_secs(1));
    line
}

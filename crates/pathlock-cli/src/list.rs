//! `pathlock list`: every lock below a directory.

use comfy_table::{ContentArrangement, Table, TableStyle};
use pathlock::{AnyLockFile, Contenders, Owner, Scheme, State, Status};

use crate::args::List;
use crate::exit::{self, Failure};
use crate::json;
use crate::say::{answer, answer_json, shown};
use crate::status::fields;

pub(crate) fn list(args: &List) -> Result<i32, Failure> {
    let mut found: Vec<(AnyLockFile, Status)> = Vec::new();
    for directory in &args.directories {
        let locks = pathlock::locks_below(directory).map_err(|error| {
            let message = format!("can't list {}: {error}; give a directory", shown(directory.as_ref()));
            Failure::new(exit::CANNOT_LOCK, message)
        })?;
        for lock in locks {
            // Who has let go since it was found has no lock to show.
            let Ok(status) = lock.status() else { continue };
            if args.all || status.state() != State::Free {
                found.push((lock, status));
            }
        }
    }
    found.sort_by(|(one, _), (other, _)| one.lock_file().cmp(other.lock_file()));
    found.dedup_by(|(one, _), (other, _)| one.lock_file() == other.lock_file());
    if args.json {
        for (lock, status) in &found {
            let contenders = contenders(lock, status);
            answer_json(&fields(lock, status, &contenders))?;
        }
        return Ok(exit::SUCCESS);
    }
    if found.is_empty() {
        answer("no locks")?;
        return Ok(exit::SUCCESS);
    }
    answer(table(&found))?;
    Ok(exit::SUCCESS)
}

fn contenders(lock: &AnyLockFile, status: &Status) -> Contenders {
    if status.state() == State::Free { Contenders::default() } else { lock.contenders().unwrap_or_default() }
}

fn table(found: &[(AnyLockFile, Status)]) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["STATE", "SCHEME", "PID", "FOR", "WAITERS", "LOCK FILE", "COMMAND"]);
    for (lock, status) in found {
        let contenders = contenders(lock, status);
        let owner = status.owner();
        let holder = contenders.holders().first();
        // Readers, and other programs' kernel locks, have no record; the kernel names them.
        let pid = owner.map(Owner::pid).or(holder.map(pathlock::Contender::pid));
        let command = owner.map(Owner::command).filter(|command| !command.is_empty());
        let command = command.or(holder.map(pathlock::Contender::command)).unwrap_or_default();
        let command: String = command.chars().take(60).collect();
        table.add_row([
            json::state(status.state()).to_owned(),
            lock.scheme().name().to_owned(),
            pid.map(|pid| pid.to_string()).unwrap_or_default(),
            owner.and_then(held_for).unwrap_or_default(),
            contenders.waiters().len().to_string(),
            shown(lock.lock_file()),
            shown(command.as_ref()),
        ]);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// How long ago the owner got the lock, by both clocks' word.
fn held_for(owner: &Owner) -> Option<String> {
    let seconds = owner.since()?.elapsed().ok()?.as_secs();
    Some(match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    })
}

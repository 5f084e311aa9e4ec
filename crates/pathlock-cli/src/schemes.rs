//! `pathlock schemes`: the ways of locking, and what each is for.

use comfy_table::{ContentArrangement, Table, TableStyle};
use pathlock::{DefaultScheme, SCHEME_NAMES, Scheme, scheme_named};
use serde::Serialize;

use crate::args::{DATABASE, Schemes};
use crate::exit::{self, Failure};
use crate::say::{answer, answer_json};

#[derive(Debug, Serialize)]
struct About {
    scheme: &'static str,
    default: bool,
    shared: bool,
    /// What is there while the lock is held.
    form: &'static str,
    /// With whom it excludes.
    with: &'static str,
}

pub(crate) fn schemes(args: &Schemes) -> Result<i32, Failure> {
    let default = DefaultScheme::default();
    let about = SCHEME_NAMES.iter().chain([&DATABASE]).filter_map(|&name| {
        let (form, with) = explained(name)?;
        let shared = scheme_named(name).map_or(name == DATABASE, |scheme| scheme.can_share());
        Some(About { scheme: name, default: name == default.name(), shared, form, with })
    });
    if args.json {
        about.into_iter().try_for_each(|about| answer_json(&about))?;
        return Ok(exit::SUCCESS);
    }
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["SCHEME", "SHARED", "THE LOCK IS HELD WHILE", "EXCLUDES, BESIDE PATHLOCK"]);
    for about in about {
        let name =
            if about.default { format!("{} (default)", about.scheme) } else { about.scheme.to_owned() };
        table.add_row([name.as_str(), if about.shared { "yes" } else { "no" }, about.form, about.with]);
    }
    for line in table.lines() {
        answer(line.trim_end())?;
    }
    answer(
        "\nPick one with --scheme, or before the path: mkdir:/srv/job. All users of a lock must use the same.",
    )?;
    Ok(exit::SUCCESS)
}

fn explained(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "link" => ("the file PATH.lock exists", "pylockfile's LinkLockFile, dotlockfile"),
        "symlink" => ("the symbolic link PATH.lock exists", "pylockfile's SymlinkLockFile"),
        "mkdir" => ("the directory PATH.lock exists", "pylockfile's MkdirLockFile, mkdir(1)"),
        "pid" => ("the file PATH exists, with the owner's pid", "pylockfile's PIDLockFile, python-daemon"),
        "flock" => ("the kernel's flock(2) lock on PATH.lock is held", "flock(1), whatever calls flock(2)"),
        "ofd" => ("the kernel's lock on PATH.lock's bytes is held", "whatever calls fcntl(2) or lockf(3)"),
        DATABASE => ("a row in PATH.lock.db, or in DB for DB#NAME, says so", "nobody"),
        _ => return None,
    })
}

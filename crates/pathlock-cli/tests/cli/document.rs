//! docs/command.md: its recipes do as they are written, and what it lists is what there is.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::world::{Finished, Running, World};

const DOCUMENT: &str = include_str!("../../../../docs/command.md");
const EXIT: &str = include_str!("../../src/exit.rs");

/// The fenced blocks of the document with this tag.
fn blocks(tag: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = DOCUMENT.lines();
    while let Some(line) = lines.next() {
        let Some(this) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if this == tag {
            found.push(block.join("\n") + "\n");
        }
    }
    found
}

/// The one recipe with this tag.
fn recipe(tag: &str) -> String {
    let mut found = blocks(tag);
    assert_eq!(found.len(), 1, "recipes tagged `{tag}`");
    found.remove(0)
}

/// The first cells of the table that follows `heading`, without their backticks.
fn first_cells(heading: &str) -> BTreeSet<String> {
    let (_, section) = DOCUMENT.split_once(&format!("\n{heading}\n")).expect("there is such a heading");
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.split('|').nth(1).expect("a cell").trim().trim_matches('`').to_owned()).collect()
}

/// What a recipe runs: a script that says so, and lasts until its stdin is closed.
fn script(world: &World, name: &str) {
    let file = world.path(name);
    fs::write(&file, "#!/bin/sh\necho ran\ncat >/dev/null\n").expect("it can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// `command` as its readers run it: with `pathlock` in the PATH.
fn installed(mut command: Command) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_pathlock"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(program.parent().expect("a directory").to_owned());
    command.env("PATH", std::env::join_paths(all.chain(std::env::split_paths(&path))).expect("a PATH"));
    command
}

/// `program` with these arguments, in the world.
fn at_home(world: &World, program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(world.path(""));
    installed(command)
}

/// The recipe runs its script, excludes another run of the lock, and leaves it free.
fn runs(world: &World, command: Command, lock: &str) {
    let mut running = Running::start(command);
    let mut line = running.read_line();
    // make prints what it runs.
    if line.starts_with("pathlock ") {
        line = running.read_line();
    }
    assert_eq!(line, "ran");
    assert_eq!(world.code(&["run", "-n", lock, "--", "true"]), 75, "{lock} is not locked");
    let finished = running.end();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert_eq!(world.code(&["run", "-n", lock, "--", "true"]), 0, "{lock} was left locked");
}

#[test]
fn the_line_for_cron_runs_and_skips_in_one_line() {
    let world = World::new();
    script(&world, "sync.sh");
    let entry = recipe("cron");
    let command = entry.trim_end().splitn(6, ' ').nth(5).expect("five times and a command");
    assert!(!command.contains('%'), "cron reads % as the end of the line: {command}");
    let cron = || installed(world.shell(command));
    runs(&world, cron(), "sync");

    let holder = world.hold(&["sync"]);
    let skipped = Finished::of(cron());
    assert_eq!((skipped.code, skipped.stdout.as_str()), (0, ""), "{}", skipped.stderr);
    assert!(skipped.stderr.contains(&format!("held by pid {}", holder.pid())), "{}", skipped.stderr);
    assert_eq!(skipped.stderr.lines().count(), 1, "{}", skipped.stderr);
    assert_eq!(holder.end().code, 0);
}

#[test]
fn the_line_for_ci_waits_its_turn() {
    let world = World::new();
    script(&world, "deploy.sh");
    let line = recipe("sh ci");
    runs(&world, installed(world.shell(&line)), "deploy");

    let holder = world.hold(&["deploy"]);
    let mut waiter = Running::start(installed(world.shell(&line)));
    let waiting = waiter.read_error_line();
    assert!(waiting.contains("for at most 600 s"), "{waiting}");
    assert_eq!(holder.end().code, 0);
    let finished = waiter.end();
    assert_eq!((finished.code, finished.stdout.as_str()), (0, "ran\n"), "{}", finished.stderr);
}

#[test]
fn the_lines_for_make_run_and_wait() {
    let world = World::new();
    script(&world, "migrate.sh");
    fs::write(world.path("Makefile"), recipe("make")).expect("it can be written");
    let found = Command::new("make").arg("--version").output();
    assert!(found.is_ok(), "make(1) is not installed, and the recipe for it can't be tried: {found:?}");
    runs(&world, at_home(&world, "make", &["database"]), "database");

    let holder = world.hold(&["database"]);
    let mut waiter = Running::start(at_home(&world, "make", &["-s", "database"]));
    assert!(waiter.read_error_line().contains("for at most 300 s"));
    assert_eq!(holder.end().code, 0);
    let finished = waiter.end();
    assert_eq!((finished.code, finished.stdout.as_str()), (0, "ran\n"), "{}", finished.stderr);
}

#[test]
fn the_unit_for_systemd_runs_and_is_content_when_busy() {
    let world = World::new();
    script(&world, "export.sh");
    let unit = recipe("ini");
    let value = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("the unit has no {key}"))
    };
    let line = value("ExecStart");
    assert!(!line.contains(['"', '\'', '\\', '$', ';']), "more than this test can split: {line}");
    let home = world.path("");
    let home = home.to_str().expect("text").trim_end_matches('/');
    // %h stands for the home directory; words end at blanks.
    let words: Vec<String> = line.split_ascii_whitespace().map(|word| word.replace("%h", home)).collect();
    assert!(words.iter().all(|word| !word.contains('%')), "only %h is known here: {line}");
    let args: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    let start = || at_home(&world, &words[0], &args);
    runs(&world, start(), "export");

    let holder = world.hold(&["export"]);
    let busy = Finished::of(start());
    assert_eq!(busy.code.to_string(), value("SuccessExitStatus"), "{}", busy.stderr);
    assert_eq!(holder.end().code, 0);

    let whole = unit.replace("ExecStart=pathlock", &format!("ExecStart={}", env!("CARGO_BIN_EXE_pathlock")));
    fs::write(world.path("export.service"), whole).expect("it can be written");
    // Where systemd is not installed there is nobody to ask.
    if let Ok(verified) = at_home(&world, "systemd-analyze", &["verify", "./export.service"]).output() {
        let text = String::from_utf8_lossy(&verified.stderr);
        assert!(!text.contains("export.service"), "systemd finds fault: {text}");
    }
}

#[test]
fn the_script_locks_itself_and_leaves_the_lock_free() {
    let world = World::new();
    let at = ["--scheme", "flock", "--at", "report.lock"];
    let collect = "#!/bin/sh\necho begun >&2\ncat >/dev/null\necho all is well\n";
    fs::write(world.path("collect.sh"), collect).expect("it can be written");
    fs::set_permissions(world.path("collect.sh"), fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::write(world.path("report.sh"), recipe("sh script")).expect("it can be written");

    let mut running = Running::start(at_home(&world, "sh", &["report.sh"]));
    assert_eq!(running.read_error_line(), "begun");
    let another = [&["run", "-n"][..], &at, &["--", "true"]].concat();
    assert_eq!(world.code(&another), 75, "it is not locked");
    let finished = running.end();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert_eq!(fs::read_to_string(world.path("report.txt")).expect("it is there"), "all is well\n");
    assert_eq!(world.code(&another), 0, "it was left locked");
}

#[test]
fn the_exit_codes_of_the_document_are_all_there_are() {
    let named =
        EXIT.lines().filter_map(|line| line.strip_prefix("pub(crate) const ")?.split_once(": i32 = "));
    let defined: BTreeSet<String> = named.map(|(_, code)| code.trim_end_matches(';').to_owned()).collect();
    assert!(defined.contains("75"), "exit.rs defines its codes in another way now: {defined:?}");
    let listed = first_cells("### Exit codes");
    let numbers: BTreeSet<String> =
        listed.iter().filter(|code| code.parse::<i32>().is_ok()).cloned().collect();
    assert_eq!(numbers, defined, "those of the document, and those of exit.rs");

    let world = World::new();
    for subcommand in subcommands(&world) {
        let help = world.run(&[&subcommand, "--help"]).stdout;
        let Some((_, codes)) = help.split_once("\nExit status:") else { continue };
        for code in codes.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()) {
            let is_code = code.starts_with(|c: char| c.is_ascii_digit());
            assert!(!is_code || listed.contains(code), "{subcommand} can exit {code}, which is not listed");
        }
    }
}

#[test]
fn the_document_names_every_subcommand_and_long_option() {
    let world = World::new();
    let words: BTreeSet<&str> = DOCUMENT.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
    for subcommand in subcommands(&world) {
        // As a heading of its own, or as the first word of a paragraph.
        let explained = [format!("\n## `{subcommand}`"), format!("**`{subcommand}")];
        assert!(explained.iter().any(|place| DOCUMENT.contains(place)), "{subcommand} is not explained");
        let help = world.run(&[&subcommand, "--help"]).stdout;
        let options = help.lines().map(str::trim_start);
        let long: BTreeSet<&str> = options
            .filter(|line| line.starts_with('-') || line.starts_with("[alias"))
            .flat_map(|line| line.split([' ', ',', '=', '[', ']']))
            .filter(|word| word.len() > 2 && word.starts_with("--"))
            .collect();
        assert!(long.contains("--help"), "{subcommand}: its options were not found: {help}");
        for option in long {
            assert!(words.contains(option), "{subcommand} {option} is not in the document");
        }
    }
}

/// The names of the subcommands, as the help lists them.
fn subcommands(world: &World) -> Vec<String> {
    let help = world.run(&["--help"]).stdout;
    let (_, list) = help.split_once("\nCommands:\n").expect("they are listed");
    let names = list.lines().map_while(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let names: Vec<String> = names.filter(|name| *name != "help").map(str::to_owned).collect();
    assert!(names.len() > 5, "{names:?}");
    names
}

#[test]
fn the_variables_of_the_document_are_those_that_the_command_finds() {
    let world = World::new();
    let told = world.run(&["run", "sqlite:job", "--", "env"]).stdout
        + &world.run(&["run", "--slots", "1", "flock:job", "--", "env"]).stdout;
    let names = told.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned());
    // Some are set for the tests themselves; `PATHLOCK` alone is how their shell names the program.
    let new = names.filter(|name| name.starts_with("PATHLOCK_") && std::env::var_os(name).is_none());
    let told: BTreeSet<String> = new.collect();
    assert_eq!(first_cells("### Environment"), told);
}

#[test]
fn the_sample_lines_of_json_are_as_the_real_ones() {
    let world = World::new();
    let mut real = String::new();
    let holder = world.hold(&["job"]);
    for args in
        [&["run", "-w", "20ms"][..], &["run", "--on-busy=skip"], &["wait", "-n"], &["wait", "-w", "20ms"]]
    {
        let command = if args[0] == "run" { &["--", "true"][..] } else { &[] };
        real += &world.run(&[args, &["--json", "job"], command].concat()).stderr;
    }
    assert_eq!(holder.end().code, 0);
    real += &world.run(&["run", "--json", "job", "--", "true"]).stderr;
    real += &world.run(&["wait", "--json", "job"]).stderr;

    let samples = shapes(&recipe("json"));
    assert_eq!(samples, shapes(&real), "in the document, and as printed");
}

/// Each line's event with its fields, those within fields too.
fn shapes(lines: &str) -> BTreeSet<String> {
    let events = lines.lines().map(|line| {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("`{line}`: {error}"));
        let mut fields = Vec::new();
        for (name, value) in object.as_object().expect("an object") {
            fields.push(name.clone());
            let inner = value.as_object().into_iter().flat_map(|inner| inner.keys());
            fields.extend(inner.map(|key| format!("{name}.{key}")));
        }
        fields.sort();
        format!("{}: {}", object["event"], fields.join(" "))
    });
    events.collect()
}

/// A command that leaves a daemon behind, which has inherited the lock and lasts until its stdin is
/// closed. Then the command does `then`, and ends.
#[cfg(target_os = "linux")]
fn leave_daemon(world: &World, scheme: &str, then: &str) -> Running {
    let line = format!("exec 3<&0; cat <&3 >/dev/null 2>&1 & echo $!; {then}");
    Running::start(world.pathlock(["run", "--scheme", scheme, "job", "--", "sh", "-c", &line]))
}

/// Whether the process has a file of the world open, which can only be the lock's. It need not have
/// the lock's name: it may have been made without one, and is without one again at the end.
#[cfg(target_os = "linux")]
fn has_lock_open(world: &World, pid: &str) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives");
    let mut targets = files.filter_map(|file| fs::read_link(file.expect("an entry").path()).ok());
    targets.any(|target| target.starts_with(world.path("")))
}

#[test]
#[cfg(target_os = "linux")]
fn a_daemon_that_the_command_leaves_behind_does_not_keep_the_lock() {
    for scheme in crate::world::INHERITED {
        let world = World::new();
        let mut running = leave_daemon(&world, scheme, "exit 4");
        let daemon = running.read_line();
        assert_eq!(running.wait().code(), Some(4), "{scheme}: the command has ended");
        assert!(
            has_lock_open(&world, &daemon),
            "{scheme}: the daemon has inherited nothing, so this proves nothing"
        );
        let next = world.run(&["run", "-n", "--scheme", scheme, "job", "--", "true"]);
        assert_eq!(next.code, 0, "{scheme}: {}", next.stderr);
        running.close_stdin();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_daemon_keeps_the_lock_when_nobody_was_left_to_let_it_go_and_status_names_it() {
    for scheme in crate::world::INHERITED {
        let world = World::new();
        let mut running = leave_daemon(&world, scheme, "kill -9 $PPID");
        let daemon = running.read_line();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&running.wait()), Some(9), "{scheme}");
        let status = world.run(&["status", "--scheme", scheme, "job"]);
        assert_eq!(status.code, 1, "{scheme}: {}", status.stdout);
        assert!(
            status.stdout.contains(&format!("held too by pid {daemon} (cat)")),
            "{scheme}: {}",
            status.stdout
        );
        running.close_stdin();
    }
}

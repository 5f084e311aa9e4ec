//! What the figures are to be, and whether they are. Of each target the worst figure counts.

use crate::contender::{PEERS, SCHEMES};
use crate::results::{HandOver, Results};

pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) wanted: String,
    /// The worst figure, and where that was.
    pub(crate) worst: f64,
    pub(crate) at: String,
    pub(crate) met: bool,
}

/// The worst of many figures.
struct Worst {
    what: String,
    at_most: bool,
    wanted: f64,
    worst: Option<(f64, String)>,
}

impl Worst {
    fn at_most(what: &str, wanted: f64) -> Worst {
        Worst { what: what.to_owned(), at_most: true, wanted, worst: None }
    }

    fn at_least(what: &str, wanted: f64) -> Worst {
        Worst { at_most: false, ..Worst::at_most(what, wanted) }
    }

    fn add(&mut self, figure: f64, at: String) {
        let worse = |worst: f64| if self.at_most { figure > worst } else { figure < worst };
        if self.worst.as_ref().is_none_or(|(worst, _)| worse(*worst)) {
            self.worst = Some((figure, at));
        }
    }

    /// `None` when nothing of the kind was measured.
    fn target(self) -> Option<Target> {
        let (worst, at) = self.worst?;
        let met = if self.at_most { worst <= self.wanted } else { worst >= self.wanted };
        let bound = if self.at_most { "at most" } else { "at least" };
        Some(Target { what: self.what, wanted: format!("{bound} {}", self.wanted), worst, at, met })
    }
}

pub(crate) fn judge(results: &Results) -> Vec<Target> {
    let all = [cycles(results), hand_overs(results), turns(results), rest(results)];
    all.into_iter().flatten().filter_map(Worst::target).collect()
}

fn cycles(results: &Results) -> Vec<Worst> {
    let mut all = Vec::new();
    for scheme in SCHEMES {
        for reused in [true, false] {
            let handle = if reused { "a reused handle" } else { "a new handle" };
            let mut worst = Worst::at_most(&format!("cycle of {scheme}, {handle}, beside its floor"), 1.25);
            let name = format!("pathlock {scheme}");
            for cycle in &results.cycles {
                if cycle.language == "Rust" && cycle.lock == name && cycle.reused == reused {
                    worst.add(cycle.ratio, format!("{}: {:.1} µs", cycle.filesystem, cycle.median_us));
                }
            }
            all.push(worst);
        }
    }
    let mut rust = Worst::at_least("cycle of every Rust peer, beside flock with a reused handle", 1.5);
    let mut python =
        Worst::at_least("cycle of every Python peer's default, beside flock with a reused object", 2.0);
    let mut link = Worst::at_most("cycle of Python's `LinkLockFile`, beside lockfile's", 1.25);
    for cycle in &results.cycles {
        let handle = if cycle.reused { "reused" } else { "new" };
        let at = format!("{}, {handle}, {}: {:.1} µs", cycle.lock, cycle.filesystem, cycle.median_us);
        if cycle.language == "Rust" && PEERS.contains(&cycle.lock.as_str()) {
            rust.add(cycle.ratio, at);
        } else if cycle.language == "Python" && !cycle.lock.starts_with("pathlock") {
            if !cycle.lock.starts_with("lockfile") || cycle.lock == "lockfile LinkLockFile" {
                python.add(cycle.ratio, at);
            }
        } else if cycle.lock == "pathlock.lockfile LinkLockFile" && cycle.reused {
            link.add(cycle.ratio, at);
        }
    }
    all.extend([rust, python, link]);
    all
}

fn hand_overs(results: &Results) -> Vec<Worst> {
    let find = |like: &HandOver, lock: &str| {
        let same = |one: &&HandOver| {
            one.lock == lock
                && one.filesystem == like.filesystem
                && one.waiters == like.waiters
                && one.killed == like.killed
        };
        results.hand_overs.iter().find(same).and_then(|one| one.median_us)
    };
    let mut all = Vec::new();
    for (locks, wanted) in [
        (&["pathlock flock", "pathlock ofd"][..], 1.5),
        (&["pathlock flock timed", "pathlock ofd timed"], 3.0),
        (&["pathlock link", "pathlock mkdir"], 2.5),
        (&["pathlock symlink"], 4.0),
    ] {
        for lock in locks {
            let mut worst =
                Worst::at_most(&format!("hand-over of {lock}, median, beside bare flock"), wanted);
            for one in results.hand_overs.iter().filter(|one| one.lock == *lock && !one.killed) {
                if let (Some(own), Some(bare)) = (one.median_us, find(one, "bare flock")) {
                    worst
                        .add(own / bare, format!("{}, {} waiters: {own:.0} µs", one.filesystem, one.waiters));
                }
            }
            all.push(worst);
        }
    }
    let mut sooner = Worst::at_least(
        "hand-over of Python's lockfile and filelock with 2 waiters, beside each of ours",
        500.0,
    );
    let ours = |lock: &str| lock.starts_with("pathlock") && !lock.contains("sqlite");
    for one in results.hand_overs.iter().filter(|one| ours(&one.lock) && !one.killed && one.waiters == 2) {
        for peer in ["lockfile LinkLockFile (Python)", "filelock (Python)"] {
            if let (Some(own), Some(theirs)) = (one.median_us, find(one, peer)) {
                sooner.add(
                    theirs / own,
                    format!("{peer} and {}, {}, {}", one.lock, one.filesystem, one.waiters),
                );
            }
        }
    }
    let mut killed = Worst::at_most("entry after kill -9 of the holder, median, beside bare flock", 2.0);
    let mut late = Worst::at_most("entry after kill -9 of the holder, p99, in ms", 5.0);
    for one in
        results.hand_overs.iter().filter(|one| ours(&one.lock) && one.killed && !one.lock.contains("Python"))
    {
        let (Some(own), Some(bare)) = (one.median_us, find(one, "bare flock")) else {
            killed.add(f64::INFINITY, format!("{}, {}: never", one.lock, one.filesystem));
            continue;
        };
        killed.add(own / bare, format!("{}, {}: {own:.0} µs", one.lock, one.filesystem));
        late.add(one.p99_us.unwrap_or(f64::INFINITY) / 1e3, format!("{}, {}", one.lock, one.filesystem));
    }
    all.extend([sooner, killed, late]);
    all
}

fn turns(results: &Results) -> Vec<Worst> {
    let mut all = Vec::new();
    for (scheme, wanted) in [("flock", 0.8), ("ofd", 0.8), ("link", 0.8), ("mkdir", 0.8), ("symlink", 0.5)] {
        let mut worst = Worst::at_least(&format!("least to most served of 8 processes, {scheme}"), wanted);
        for one in &results.turns {
            if one.processes == 8 && one.lock == format!("pathlock {scheme}") {
                worst.add(one.fairness(), format!("{}, {} µs inside", one.filesystem, one.section_us));
            }
        }
        all.push(worst);
    }
    for section in [0.0, 50.0, 500.0] {
        let mut worst =
            Worst::at_least(&format!("turns of flock, {section} µs inside, beside bare flock"), 0.95);
        for one in
            results.turns.iter().filter(|one| one.lock == "pathlock flock" && one.section_us == section)
        {
            let same = |other: &&crate::results::Turns| {
                (other.processes, other.threads, &other.filesystem)
                    == (one.processes, one.threads, &one.filesystem)
                    && other.section_us == section
                    && other.lock == "bare flock"
            };
            if let Some(bare) = results.turns.iter().find(same) {
                let at =
                    format!("{}, {} processes of {} threads", one.filesystem, one.processes, one.threads);
                worst.add(one.total() as f64 / bare.total() as f64, at);
            }
        }
        all.push(worst);
    }
    all
}

fn rest(results: &Results) -> Vec<Worst> {
    let mut switches = Worst::at_most("context switches of a wait of ten seconds", 10.0);
    for one in results.waits.iter().filter(|one| one.lock.starts_with("pathlock")) {
        switches.add(one.switches as f64 * 10.0 / one.seconds, format!("{}, {}", one.lock, one.filesystem));
    }
    let mut all = vec![switches];
    for scheme in ["flock", "ofd", "link", "mkdir"] {
        let name = format!("pathlock {scheme}");
        let mut worst =
            Worst::at_most(&format!("hand-over of {scheme} with the most waiters, beside that with 10"), 3.0);
        for few in results.crowds.iter().filter(|one| one.lock == name && one.waiters == 10) {
            let same = |one: &&crate::results::Crowd| {
                one.lock == name && one.of == few.of && one.filesystem == few.filesystem
            };
            if let Some(many) = results.crowds.iter().filter(same).max_by_key(|one| one.waiters) {
                let at = format!("{}, {} {}", many.filesystem, many.waiters, many.of);
                worst.add(many.us_per_hand_over / few.us_per_hand_over, at);
            }
        }
        all.push(worst);
    }
    let mut wall = Worst::at_most("`pathlock run f -- true`, beside `flock f true`", 1.0);
    let mut peak = Worst::at_most("its peak memory, in MiB", 6.0);
    for one in results.commands.iter().filter(|one| one.command.starts_with("pathlock")) {
        wall.add(one.ratio, format!("`{}`: {:.2} ms", one.command, one.median_ms));
        if let Some(kib) = one.peak_kib {
            peak.add(kib as f64 / 1024.0, format!("`{}`", one.command));
        }
    }
    all.extend([wall, peak]);
    all
}

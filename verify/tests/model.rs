//! model
#![forbid(unsafe_code)]
mod model {
    mod kernel;
    mod program;
    pub(crate) mod rules;
    pub(crate) mod search;
    mod state;
    mod steps;
}
use model::rules::{Bounds, Rules};
use model::search::search;

#[test]
fn explore() {
    let n: Vec<u8> = std::env::var("B").unwrap().split(',').map(|x| x.parse().unwrap()).collect();
    let off: Vec<String> = std::env::var("OFF").unwrap_or_default().split(',').map(str::to_owned).collect();
    let bounds = Bounds {
        programs: n[0],
        acquisitions: n[1],
        tries: n[2] > 0,
        others: n[3],
        probes: n[4],
        crashes: n[5],
        timeouts: n[6],
        losses: n[7],
        exits: n[8] > 0,
    };
    let on = |name: &str| !off.iter().any(|x| x == name);
    let rules = Rules {
        second_look: on("look"),
        reads_record: on("read"),
        identity: on("id"),
        lock_to_remove: on("lock"),
        mutex: on("mutex"),
        identity_of_the_dead: on("dead"),
        confirms_turn: on("confirm"),
        waits_out_mark: on("wait"),
    };
    let t = std::time::Instant::now();
    let r = search(&bounds, &rules);
    println!(
        "{} bytes; {bounds:?} off {off:?}: {} states {} steps in {:?}",
        0,
        r.states,
        r.steps,
        t.elapsed()
    );
    if let Some(f) = r.found {
        println!("{f}");
    }
}

//! What the tests that interfere with single system calls share.

use std::path::{Path, PathBuf};
use std::process::Command;

use verify::actor::Actor;
use verify::scene::Scene;
use verify::strace::{self, Call, Interference};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_pathlock-verify");

/// The schemes, those that have readers as a reader uses them, and those whose handles keep a file open as they
/// are used again.
pub(crate) fn variants() -> impl Iterator<Item = &'static str> {
    let shared = ["mkdir+shared", "flock+shared", "ofd+shared"];
    pathlock::SCHEME_NAMES.iter().copied().chain(shared).chain([
        "flock+again",
        "ofd+again",
        "ofd+shared+again",
    ])
}

/// The scheme of a variant.
pub(crate) fn scheme_of(variant: &str) -> &str {
    variant.split('+').next().unwrap_or(variant)
}

/// How a lock is found, and what is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// There is none yet.
    Free,
    /// It has been left by a holder that was killed.
    Stale,
}

/// A directory in memory where there is one: the calls are the same, and faster.
fn directory() -> PathBuf {
    let mut dirs: Vec<PathBuf> = match std::env::var_os("PATHLOCK_TEST_DIRS") {
        Some(dirs) => std::env::split_paths(&dirs).collect(),
        None => vec![PathBuf::from(env!("CARGO_TARGET_TMPDIR"))],
    };
    let in_memory = |dir: &PathBuf| verify::filesystem::name(dir).is_ok_and(|name| name == "tmpfs");
    let chosen = dirs.iter().position(in_memory).unwrap_or(0);
    dirs.swap_remove(chosen)
}

/// A scene with a lock in that state.
pub(crate) fn scene(scheme: &str, lock: Lock) -> Scene {
    let scene = Scene::set(&directory()).expect("a scene can be set");
    if lock == Lock::Stale {
        leave_stale(scheme, &scene.path());
    }
    scene
}

/// Has a holder be killed.
pub(crate) fn leave_stale(scheme: &str, path: &Path) {
    let scheme = scheme_of(scheme);
    let mut holder = Command::new(PROGRAM);
    let status = holder.args(["holder", "--scheme", scheme, "--path"]).arg(path).status().expect("it runs");
    assert_eq!(status.code(), None, "{scheme}: the holder acquires the lock and is killed");
}

/// Starts a process that plays `part` with the lock and is interfered with; its log is beside the scene.
pub(crate) fn start(
    part: &str,
    scheme: &str,
    scene: &Scene,
    interference: Interference<'_>,
    patience_ms: u64,
) -> Actor {
    let mut command =
        strace::command(Path::new(PROGRAM), &scene.log(), interference).expect("the tools are there");
    Actor::start(&mut command, part, scheme, &scene.path(), patience_ms).expect("the process starts")
}

/// The calls of a run that nobody interfered with.
pub(crate) fn calls(scene: &Scene) -> Vec<Call> {
    strace::calls(&scene.log()).expect("the run was traced")
}

/// Acquires the lock at once and releases it, from this process.
pub(crate) fn visit(scheme: &str, scene: &Scene) -> Result<(), String> {
    let lock = verify::lock(scheme_of(scheme), &scene.path())?;
    let guard = lock.try_acquire().map_err(|error| error.to_string())?;
    guard.release().map_err(|error| error.to_string())
}

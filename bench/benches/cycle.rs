//! The cycle of each scheme, for contributors: `cargo bench -p bench`. It says whether a change has made a scheme slower
//! than it was at the last run; for ratios to the floor and to others see `cargo xtask bench`.

#[cfg(target_os = "linux")]
fn main() {
    use criterion::{BenchmarkId, Criterion};
    use pathlock::AnyLockFile;

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("cycle");
    let directory = tempfile::tempdir().expect("a directory can be made");
    for scheme in ["flock", "ofd", "link", "pid", "mkdir", "symlink"] {
        let name = format!("{scheme}:{}", directory.path().join(scheme).display());
        let lock = AnyLockFile::open(&name);
        let release = |guard: Result<pathlock::Guard, pathlock::LockError>| {
            guard.expect("nobody holds it").release().expect("it is ours");
        };
        group.bench_function(BenchmarkId::new(scheme, "reused"), |bencher| {
            bencher.iter(|| release(lock.acquire()))
        });
        group.bench_function(BenchmarkId::new(scheme, "new"), |bencher| {
            bencher.iter(|| release(AnyLockFile::open(&name).acquire()));
        });
    }
    group.finish();
    criterion.final_summary();
}

#[cfg(not(target_os = "linux"))]
fn main() {}

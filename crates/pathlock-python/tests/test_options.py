"""What a lock can be asked for besides holding: readers, slots, re-entry, leases, modes, other names, and fencing tokens."""

import fcntl
import os
import signal
import stat
import threading

import pathlock
import pytest
from children import PATIENCE
from worlds import (
    CONVERTS,
    LEASES,
    SHARED,
    SLOTS,
    Other,
    Waiter,
    done_in_thread,
    each_scheme,
    eventually,
    files,
    held_elsewhere,
    one_of,
    refusal,
    seconds,
)


@pytest.fixture
def no_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@one_of(SHARED)
def test_readers_hold_the_lock_together_and_writers_alone(scheme, tmp_path):
    readers = [pathlock.Lock(tmp_path / "job", scheme=scheme, shared=True) for _ in range(3)]
    writer = pathlock.Lock(tmp_path / "job", scheme=scheme)
    guards = [done_in_thread(reader.acquire) for reader in readers]
    assert [guard.mode for guard in guards] == ["shared"] * 3, "each is a reader"
    assert type(refusal(writer.acquire, 0)) is pathlock.AlreadyLocked, "a writer would be alone"
    waiter = Waiter(tmp_path / "job", scheme=scheme)
    for guard in guards:
        assert not waiter.outcome.done(), "there are readers left"
        guard.release()
    assert waiter.guard().mode == "exclusive", "the writer has come in after the last reader"
    assert readers[0].try_acquire() is None, "no reader beside a writer"
    waiter.lock.release()


@one_of(sorted(set(pathlock.SCHEMES) - set(SHARED)))
def test_a_scheme_without_readers_says_so(scheme, tmp_path):
    error = refusal(pathlock.Lock(tmp_path / "job", scheme=scheme, shared=True).acquire)
    assert (type(error), error.reason) == (pathlock.LockFailed, "unsupported"), "it can't be shared"
    assert "flock" in str(error), f"it says which can: {error}"
    assert files(tmp_path) == [], "nothing was made"


@one_of(["mkdir", "sqlite"])
def test_the_status_names_all_readers_where_each_has_a_record(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, shared=True)
    with held_elsewhere(lock.path, scheme=scheme, shared=True) as other, lock:
        status = lock.status()
        assert {owner.pid for owner in status.owners} == {os.getpid(), other.pid}, "both read"
        assert status.owner == status.owners[0], "the owner is the first of them"


@one_of(SLOTS)
def test_as_many_hold_the_lock_as_it_has_slots(scheme, tmp_path):
    locks = [pathlock.Lock(tmp_path / "gpu", scheme=scheme, slots=3) for _ in range(3)]
    guards = [done_in_thread(lock.acquire) for lock in locks]
    assert sorted(guard.slot for guard in guards) == [0, 1, 2], "each has a slot of its own"
    assert locks[0].slot == guards[0].slot, "the lock knows its slot, too"
    status = locks[0].status()
    assert (status.slots_taken, status.state) == (3, "held"), "all are taken"
    one_more = pathlock.Lock(tmp_path / "gpu", scheme=scheme, slots=3)
    assert one_more.try_acquire() is None, "there is no fourth"
    assert type(refusal(one_more.acquire, 0.02)) is pathlock.LockTimeout, "nor in a while"
    waiter = Waiter(tmp_path / "gpu", scheme=scheme, slots=3)
    free = guards[1].slot
    guards[1].release()
    assert waiter.guard().slot == free, "who waits gets the slot that came free"
    for lock in (locks[0], locks[2], waiter.lock):
        lock.release()
    assert locks[0].status().slots_taken == 0, "all are free"


@one_of(SLOTS)
def test_slots_are_counted_across_processes_and_come_free_when_their_holder_is_killed(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "gpu", scheme=scheme, slots=2)
    with lock, held_elsewhere(lock.path, scheme=scheme, slots=2) as other:
        assert lock.status().slots_taken == 2, "one here, one there"
        waiter = Waiter(lock.path, scheme=scheme, slots=2)
        other.kill()
        assert waiter.guard().slot == 1, "the dead one's slot is taken"
        waiter.lock.release()


@one_of(sorted(set(pathlock.SCHEMES) - set(SLOTS)))
def test_a_scheme_without_slots_says_so(scheme, tmp_path):
    error = refusal(pathlock.Lock(tmp_path / "job", scheme=scheme, slots=2).acquire)
    assert (type(error), error.reason) == (pathlock.LockFailed, "unsupported"), "it has no slots"


@each_scheme
def test_an_owner_may_enter_again_where_it_is_allowed_and_the_last_release_releases(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, reentrant=True)
    outer = lock.acquire()
    with lock as inner, pathlock.Lock(lock.path, scheme=scheme, reentrant=True) as of_another_object:
        assert outer.valid and inner.valid and of_another_object.valid, "it is held three times"
        strict = pathlock.Lock(lock.path, scheme=scheme)
        assert refusal(strict.acquire).reason == "would-deadlock", "an object that was made without it refuses"
        elsewhere = pathlock.Lock(lock.path, scheme=scheme, reentrant=True)
        assert done_in_thread(elsewhere.try_acquire) is None, "another thread is another owner"
    assert outer.valid and not inner.valid, "one of the guards is left"
    assert done_in_thread(elsewhere.try_acquire) is None, "and with it the lock is held"
    lock.release()
    assert not lock.is_locked(), "the last has released it"


@each_scheme
def test_a_process_is_an_owner_where_that_is_asked_for(scheme, tmp_path):
    options = {"scheme": scheme, "reentrant": True, "ownership": "process"}
    lock = pathlock.Lock(tmp_path / "job", **options)
    with lock as guard, Other(lock.path, **options) as other:
        again = done_in_thread(pathlock.Lock(lock.path, **options).acquire, 0)
        assert again.valid, "another thread of the process enters"
        assert other.refusal("lock.acquire(timeout=0)") == "AlreadyLocked", "another process does not"
        of_thread = pathlock.Lock(lock.path, scheme=scheme, reentrant=True)
        assert done_in_thread(of_thread.try_acquire) is None, "a thread that owns for itself does not"
        again.release()
        assert guard.valid, "the first is still there"


@each_scheme
def test_without_re_entry_the_process_as_owner_lets_no_second_thread_in(scheme, tmp_path):
    with pathlock.Lock(tmp_path / "job", scheme=scheme, ownership="process"):
        second = pathlock.Lock(tmp_path / "job", scheme=scheme, ownership="process")
        assert type(done_in_thread(refusal, second.acquire, 0.02)) is pathlock.LockTimeout, "it waits like anybody"


@one_of(["link", "pid", "flock", "ofd", "sqlite"])
def test_the_lock_file_gets_the_mode_that_is_asked_for(scheme, tmp_path, no_umask):
    for mode in (0o600, 0o640, 0o666):
        lock = pathlock.Lock(tmp_path / oct(mode), scheme=scheme, mode=mode)
        with lock:
            assert stat.S_IMODE(os.stat(lock.lock_file).st_mode) == mode, oct(mode)


def test_the_umask_is_heeded(tmp_path, no_umask):
    os.umask(0o077)
    with pathlock.Lock(tmp_path / "job", mode=0o666) as guard:
        assert stat.S_IMODE(os.stat(guard.lock_file).st_mode) == 0o600, "nobody else may read it"


def test_a_lock_file_that_is_named_itself_is_shared_with_other_programs(tmp_path):
    for scheme, take in [("flock", fcntl.flock), ("ofd", fcntl.lockf)]:
        lock = pathlock.Lock(tmp_path / scheme, scheme=scheme, at=True)
        assert lock.lock_file == lock.path == str(tmp_path / scheme), "the path is the lock file"
        with open(lock.path, "w") as theirs:
            take(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
            assert lock.try_acquire() is None, f"{scheme}: it is locked by the other program's call"
        with lock, open(lock.path, "r+") as theirs, pytest.raises(BlockingIOError):
            take(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)


@each_scheme
def test_at_names_the_lock_file_itself(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, at=True)
    assert lock.lock_file == str(tmp_path / "job"), "the path is the lock file"
    with lock:
        assert os.path.lexists(tmp_path / "job"), "there it is"
        assert pathlock.status(tmp_path / "job", scheme=scheme, at=True).state == "held", "there it is seen"
        usual = pathlock.Lock(tmp_path / "job", scheme=scheme)
        assert pathlock.status(tmp_path / "job", scheme=scheme).locked is (usual.lock_file == lock.lock_file), (
            "elsewhere there is no lock"
        )


def test_the_default_scheme_is_link(tmp_path):
    lock = pathlock.Lock(tmp_path / "job")
    assert lock.scheme == "link" and lock.lock_file == str(tmp_path / "job.lock"), lock
    for scheme in pathlock.SCHEMES:
        assert pathlock.Lock(tmp_path / "job", scheme=scheme).scheme == scheme, "it says which it was given"


def test_one_database_has_many_locks(tmp_path):
    one, other = (pathlock.Lock(f"{tmp_path}/locks.db#{name}", scheme="sqlite") for name in ("one", "other"))
    assert one.lock_file == other.lock_file == str(tmp_path / "locks.db"), "both are in one file"
    assert one.path != other.path, "they have names of their own"
    with one, other:
        assert one.acquired and other.acquired, "each is held by itself"
        again = pathlock.Lock(f"{tmp_path}/locks.db#one", scheme="sqlite")
        assert done_in_thread(again.try_acquire) is None, "the same name is the same lock"
    beside = pathlock.Lock(tmp_path / "job", scheme="sqlite")
    assert beside.lock_file == str(tmp_path / "job.lock.db"), "a path alone has its database beside it"


def test_a_database_counts_its_holders(tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme="sqlite")
    assert lock.token is None, "nothing is held, and nothing counted"
    tokens = []
    for _ in range(3):
        with lock as guard:
            assert lock.token == guard.token, "the lock has the token of its guard"
            tokens.append(guard.token)
    with Other(lock.path, scheme="sqlite") as other:
        tokens.append(other.ask("lock.acquire().token"))
        other.kill()
    tokens.append(lock.acquire().token)
    lock.release()
    assert tokens == sorted(set(tokens)), f"each is greater than all before it: {tokens}"


@one_of([scheme for scheme in pathlock.SCHEMES if scheme != "sqlite"])
def test_the_other_schemes_count_none(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    with lock as guard:
        assert guard.token is None and lock.token is None, "no token"
        assert guard.slot is None and lock.slot is None, "no slot"
        assert guard.mode == "exclusive", "and one holder"


@one_of(CONVERTS)
def test_a_reader_becomes_the_writer_and_a_writer_a_reader_in_one_step(scheme, tmp_path):
    options = {"scheme": scheme, "shared": True}
    with pathlock.Lock(tmp_path / "job", **options) as guard:
        other = pathlock.Lock(tmp_path / "job", **options)
        done_in_thread(other.acquire)
        error = refusal(guard.upgrade)
        assert type(error) is pathlock.AlreadyLocked, "not while there is another reader"
        assert guard.mode == "shared" and guard.valid, "it is a reader still"
        other.release()
        guard.upgrade()
        assert guard.mode == "exclusive" and done_in_thread(other.try_acquire) is None, "it is alone"
        guard.upgrade()
        guard.downgrade()
        assert guard.mode == "shared" and done_in_thread(other.try_acquire), "others may read"
        other.release()


@one_of(sorted(set(pathlock.SCHEMES) - set(CONVERTS)))
def test_a_scheme_that_needs_two_steps_to_convert_refuses(scheme, tmp_path):
    with pathlock.Lock(tmp_path / "job", scheme=scheme) as guard:
        guard.upgrade()
        assert refusal(guard.downgrade).reason == "unsupported", "another might get it in between"
        assert guard.valid and guard.mode == "exclusive", "it is as it was"


@one_of(LEASES)
def test_a_lease_is_touched_as_long_as_it_is_held(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, lease=2)
    with lock as guard:
        assert guard.valid and 0 < guard.valid_until <= 1.8, "it can be trusted for nine tenths of its term"
        first = os.lstat(lock.lock_file).st_mtime_ns
        eventually(lambda: os.lstat(lock.lock_file).st_mtime_ns > first, "it is touched within its term")
        eventually(lambda: guard.valid_until > 1.3, "and can be trusted anew")
        assert guard.valid, "it is held"
    assert guard.valid_until is None and not lock.is_locked(), "it is released as any lock is"


@one_of(LEASES)
def test_who_holds_a_lease_is_told_that_it_is_lost(scheme, tmp_path):
    lost = threading.Semaphore(0)
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, lease=1, on_lost=lost.release)
    with lock:
        pass
    with lock as guard:
        assert lock.break_lock(), "somebody breaks it"
        assert not guard.valid, "a look shows it at once"
        assert lost.acquire(timeout=PATIENCE), "and it is told soon"
        assert not lost.acquire(blocking=False), "once, and not for the lease that was released before"
        assert type(refusal(guard.release)) is pathlock.NotLocked, "there is nothing left to release"


def test_a_holder_that_runs_on_this_host_keeps_its_lease_though_it_was_stopped(tmp_path):
    with Other() as other:
        other.ask("import threading")
        other.ask("lost = threading.Event()")
        other.ask(f"lock = pathlock.Lock({str(tmp_path / 'job')!r}, lease=1, on_lost=lost.set)")
        other.ask("guard = lock.acquire()")
        os.kill(other.pid, signal.SIGSTOP)
        taker = pathlock.Lock(tmp_path / "job", lease=1)
        try:
            assert seconds(lambda: refusal(taker.acquire, 1.2)) >= 1.2, "nobody takes it in more than its term"
        finally:
            os.kill(other.pid, signal.SIGCONT)
        assert other.ask(f"lost.wait({PATIENCE})"), "it is told that it could not be trusted meanwhile"
        assert not other.ask("guard.valid"), "nor now"


def test_what_on_lost_raises_is_reported_as_unraisable(tmp_path, monkeypatch):
    reported = []
    told = threading.Event()
    monkeypatch.setattr("sys.unraisablehook", lambda error: (reported.append(error.exc_type), told.set()))

    def lost():
        raise ZeroDivisionError

    with pathlock.Lock(tmp_path / "job", lease=1, on_lost=lost) as guard:
        os.unlink(guard.lock_file)
        assert told.wait(PATIENCE), "it is reported"
        assert reported == [ZeroDivisionError], "with what was raised"
        assert type(refusal(guard.release)) is pathlock.NotLocked, "there is nothing left to release"


def test_a_lease_is_for_one_holder_of_a_named_lock_and_a_second_at_least(tmp_path):
    for options in [
        *({"scheme": scheme} for scheme in ("flock", "ofd", "sqlite")),
        {"scheme": "mkdir", "shared": True},
        {"scheme": "mkdir", "slots": 2},
        {"lease": 0.999},
        {"lease": 0},
    ]:
        error = refusal(pathlock.Lock(tmp_path / "job", **{"lease": 2, **options}).acquire)
        assert (type(error), error.reason) == (pathlock.LockFailed, "unsupported"), options

"""`Lock` and its guards, on every scheme: what holds, what releases, and what is seen of it."""

import datetime
import os
import pathlib
import sys
import tempfile
import threading

import pathlock
import pytest
from children import PATIENCE
from worlds import SLOTS, VANISHES, Waiter, done_in_thread, each_scheme, files, held_elsewhere, one_of, refusal


def try_elsewhere(path, scheme):
    """What another thread, with a lock of its own, gets without waiting."""

    def attempt():
        guard = pathlock.Lock(path, scheme=scheme).try_acquire()
        if guard:
            guard.release()
        return guard

    return done_in_thread(attempt)


@each_scheme
def test_a_with_block_holds_the_lock_and_its_end_releases_it(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    assert not lock.acquired, "making a lock acquires nothing"
    with lock as guard:
        assert isinstance(guard, pathlock.Guard), "the block gets the guard"
        assert guard.valid and lock.acquired and lock.is_locked(), "it is held"
        assert try_elsewhere(lock.path, scheme) is None, "nobody else gets it"
    assert not guard.valid and not lock.acquired and not lock.is_locked(), "it is free"
    assert try_elsewhere(lock.path, scheme), "somebody else gets it"
    if scheme in VANISHES:
        assert files(tmp_path) == [], "nothing is left on disk"


@each_scheme
def test_an_exception_leaves_the_block_and_releases_the_lock(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    for entered in (lambda: lock, lock.acquire):
        with pytest.raises(ZeroDivisionError), entered():
            assert lock.is_locked(), "it is held inside"
            raise ZeroDivisionError
        assert not lock.is_locked(), "it is free outside"


@each_scheme
def test_acquire_returns_a_guard_and_release_gives_the_lock_back_once(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    for release in ("lock", "guard"):
        guard = lock.acquire()
        assert guard.valid and lock.acquired, "it is held"
        assert (guard.path, guard.lock_file) == (lock.path, lock.lock_file), "the guard is of this lock"
        {"lock": lock, "guard": guard}[release].release()
        assert not guard.valid and not lock.acquired, f"{release}.release() has released it"
        for again in (lock.release, guard.release):
            error = refusal(again)
            assert type(error) is pathlock.NotLocked, "it can't be released twice"
            assert (error.path, error.lock_file) == (lock.path, lock.lock_file), "the error says which lock"


@each_scheme
def test_the_lock_stays_held_when_its_guard_is_thrown_away(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    lock.acquire()
    assert lock.acquired and try_elsewhere(lock.path, scheme) is None, "the lock object holds it"
    lock.release()
    assert try_elsewhere(lock.path, scheme), "its release releases it"


@each_scheme
def test_try_acquire_returns_none_when_the_lock_is_busy(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    with held_elsewhere(tmp_path / "job", scheme=scheme) as other:
        assert lock.try_acquire() is None, "it is busy"
        assert not lock.acquired, "nothing was acquired"
        other.ask("lock.release()")
        with lock.try_acquire() as guard:
            assert guard.valid, "it is free"
            assert other.ask("lock.try_acquire() is None"), "now it is busy for the other"
            assert lock.try_acquire() is None, "it is also busy for its own holder"


@each_scheme
def test_a_timeout_of_zero_or_less_does_not_wait(scheme, tmp_path):
    with held_elsewhere(tmp_path / "job", scheme=scheme) as other:
        for timeout in (0, -1, 0.0, -0.5, float("-inf"), -(10**400)):
            by_option = pathlock.Lock(tmp_path / "job", scheme=scheme, timeout=timeout)
            by_argument = pathlock.Lock(tmp_path / "job", scheme=scheme)
            for acquire in (by_option.acquire, by_option.__enter__, lambda t=timeout: by_argument.acquire(timeout=t)):
                error = refusal(acquire)
                assert type(error) is pathlock.AlreadyLocked, f"with a timeout of {timeout}"
                assert error.owner.pid == other.pid, "the error says who holds it"
                assert error.lock_file == by_option.lock_file and error.path == by_option.path, "and which lock it is"
                assert error.errno is None and error.reason is None, "no system call has failed"


@each_scheme
def test_a_timeout_passes_before_lock_timeout_is_raised(scheme, tmp_path):
    with held_elsewhere(tmp_path / "job", scheme=scheme) as other:
        by_option = pathlock.Lock(tmp_path / "job", scheme=scheme, timeout=0.02)
        by_argument = pathlock.Lock(tmp_path / "job", scheme=scheme, timeout=1000)
        for acquire in (by_option.acquire, by_option.__enter__, lambda: by_argument.acquire(0.02)):
            error = refusal(acquire)
            assert type(error) is pathlock.LockTimeout, "the time was up"
            assert 0.02 <= error.waited < PATIENCE, f"it has waited for its time and not much longer: {error.waited}"
            assert error.owner.pid == other.pid, "the error says who holds it"
            assert str(other.pid) in str(error) and by_option.path in str(error), f"and so does its text: {error}"


@each_scheme
@pytest.mark.parametrize("timeout", [None, PATIENCE, float("inf"), 10**400, ...], ids=repr)
def test_a_wait_ends_with_the_release(scheme, timeout, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    guard = lock.acquire()
    options = {} if timeout is ... else {"timeout": timeout}
    waiter = Waiter(tmp_path / "job", scheme=scheme, **options)
    assert not waiter.outcome.done(), "it waits as long as the lock is held"
    guard.release()
    assert waiter.guard().valid, "the waiter has it now"
    assert lock.try_acquire() is None, "and nobody else"
    waiter.lock.release()


def test_none_given_to_acquire_waits_for_ever_whatever_the_lock_was_made_with(tmp_path):
    guard = pathlock.Lock(tmp_path / "job").acquire()
    waiter = Waiter(tmp_path / "job", timeout=0, acquire=lambda lock: lock.acquire(timeout=None))
    assert waiter.events[0].deadline_in is None, "it waits for ever, although the lock's own timeout is 0"
    guard.release()
    assert waiter.guard().valid, "and gets it"
    waiter.lock.release()


@each_scheme
def test_a_thread_that_waits_for_itself_is_told_so_at_once(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    with lock:
        for again in (lock, pathlock.Lock(tmp_path / "job", scheme=scheme)):
            for acquire in (again.acquire, lambda: again.acquire(timeout=PATIENCE)):
                error = refusal(acquire)
                assert (type(error), error.reason) == (pathlock.LockFailed, "would-deadlock"), "it would never end"
            assert type(refusal(again.acquire, 0)) is pathlock.AlreadyLocked, (
                "who does not wait is told that it is busy"
            )
        assert lock.acquired, "it still holds what it has"


@each_scheme
def test_what_is_known_of_the_owner(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, command="nightly backup")
    assert lock.owner is None, "nobody holds it"
    before = datetime.datetime.now(datetime.timezone.utc)
    with lock as guard:
        after = datetime.datetime.now(datetime.timezone.utc)
        owner = lock.owner
        assert isinstance(owner, pathlock.Owner), "somebody holds it"
        assert owner.pid == os.getpid(), "this process does"
        assert owner.command == "nightly backup", "with the command that was given"
        assert owner.host == os.uname().nodename, "on this host"
        assert owner.thread == threading.get_native_id(), "in this thread"
        assert owner.user == os.getuid(), "as this user"
        assert owner.scheme == scheme, "by this scheme"
        assert owner.alive is True, "it runs"
        assert owner.start_time == start_time(os.getpid()), "the process is told from later ones of that pid"
        assert owner.boot_id == boot_id(), "and from those of other boots"
        margin = datetime.timedelta(seconds=1)  # A record may be in whole seconds.
        assert before - margin <= owner.since <= after + margin, "since now"
        assert owner.since.utcoffset() == datetime.timedelta(0), "in UTC"
        assert guard.owner.pid == owner.pid and guard.owner.command == owner.command, "the guard knows it too"
        with pytest.raises(AttributeError):
            owner.pid = 1  # Who holds a lock is not changed by writing it down.
    assert lock.owner is None, "nobody holds it any more"


def start_time(pid):
    with open(f"/proc/{pid}/stat") as stat_file:
        return int(stat_file.read().rpartition(")")[2].split()[19])


def boot_id():
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


@each_scheme
def test_without_a_command_the_record_has_the_command_line(scheme, tmp_path):
    with held_elsewhere(tmp_path / "job", scheme=scheme) as other:
        owner = pathlock.Lock(tmp_path / "job", scheme=scheme).owner
        assert owner.pid == other.pid, "the other process holds it"
        assert owner.command.split()[0] == sys.executable and "children.py" in owner.command, owner.command


@each_scheme
def test_a_released_guard_knows_which_lock_it_was_and_no_more(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    with lock as guard:
        pass
    assert guard.valid is False and guard.valid_until is None, "it is not held"
    assert (guard.token, guard.slot) == (None, None), "it has no number"
    assert (guard.path, guard.lock_file) == (lock.path, lock.lock_file), "it says which lock it was"
    for use in ("owner", "mode"):
        assert type(refusal(getattr, guard, use)) is pathlock.NotLocked, f"{use} is of what is held"
    for use in (guard.upgrade, guard.downgrade, guard.adopt):
        assert type(refusal(use)) is pathlock.NotLocked, f"{use} is for what is held"
    assert "released" in repr(guard), repr(guard)
    guard.forget()
    assert lock.try_acquire(), "none of this has done anything to the lock"
    lock.release()


@each_scheme
def test_a_guard_whose_block_ends_after_its_release_does_nothing(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    for entered, release in [
        (lambda: lock, lambda guard: lock.release()),
        (lambda: lock, lambda guard: guard.release()),
        (lock.acquire, lambda guard: lock.release()),
        (lock.acquire, lambda guard: guard.release()),
    ]:
        others = pathlock.Lock(lock.path, scheme=scheme)
        with entered() as guard:
            release(guard)
            next_guard = done_in_thread(others.acquire)
        assert next_guard.valid, "who has it by then keeps it"
        others.release()


@one_of(SLOTS)
def test_a_block_that_released_its_own_leaves_alone_what_another_thread_has(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, slots=2)
    others = done_in_thread(lock.acquire)
    with lock as mine:
        mine.release()
    assert others.valid, "the other thread still has its slot"
    with lock:
        lock.release()
    assert others.valid, "and again"
    others.release()


@one_of(SLOTS)
def test_leaving_a_block_releases_what_that_block_acquired(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, slots=2, timeout=0)
    with lock as first:
        second = lock.acquire()
    assert not first.valid, "the block has ended"
    assert second.valid, "what was acquired inside of it was not meant to end with it"
    second.release()


@one_of(SLOTS)
def test_release_takes_the_newest_of_this_thread_first(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, slots=4, timeout=0)
    older, newer = lock.acquire(), lock.acquire()
    others = done_in_thread(lock.acquire)
    assert [older.slot, newer.slot, others.slot] == [0, 1, 2], "each has a slot of its own"
    assert lock.slot == 1, "the newest of this thread"
    held = []
    for _ in range(3):
        lock.release()
        held.append((older.valid, newer.valid, others.valid))
    assert held == [(True, False, True), (False, False, True), (False, False, False)], "newest first, the others' last"
    assert type(refusal(lock.release)) is pathlock.NotLocked, "nothing is left"


@each_scheme
def test_a_guard_is_released_by_another_thread(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    for release in (lambda: lock.acquire().release, lambda: lock.acquire() and lock.release):
        done_in_thread(release())
        assert not lock.acquired and not lock.is_locked(), "it is free"


@each_scheme
def test_a_lock_is_used_again_and_again(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    for turn in range(50):
        with lock as guard:
            assert guard.valid, f"it is held in turn {turn}"
    assert not lock.is_locked(), "it is free after them"


@each_scheme
def test_shared_memory_is_a_place_for_locks_too(scheme, shared_memory):
    lock = pathlock.Lock(shared_memory / "job", scheme=scheme)
    with lock:
        assert try_elsewhere(lock.path, scheme) is None, "it excludes"
        waiter = Waiter(lock.path, scheme=scheme)
    assert waiter.guard().valid, "a waiter gets it"
    waiter.lock.release()


@pytest.fixture
def shared_memory():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield pathlib.Path(directory)

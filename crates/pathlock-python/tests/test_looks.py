"""Looking at a lock, and breaking it: free, held, stale and unknown, who holds it and who waits."""

import dataclasses
import os

import pathlock
import pytest
from worlds import (
    VANISHES,
    Other,
    Waiter,
    each_scheme,
    eventually,
    files,
    held_elsewhere,
    one_of,
    refusal,
)


@each_scheme
def test_a_lock_that_nobody_holds_is_free(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    for _ in range(2):
        for status in (lock.status(), pathlock.status(lock.path, scheme=scheme)):
            assert (status.state, status.locked, status.slots_taken) == ("free", False, 0), status
            assert (status.owner, status.owners, status.waiters) == (None, (), ()), "there is nobody"
            assert status.detail, "it says how that is known"
        assert lock.is_locked() is False and lock.owner is None, "it is not locked"
        if not os.path.lexists(lock.lock_file):
            assert files(tmp_path) == [], "looking has made nothing"
        with lock:
            pass  # Once more, with what a release leaves behind.


@each_scheme
def test_the_status_of_a_held_lock_says_by_whom(scheme, tmp_path):
    with held_elsewhere(tmp_path / "job", scheme=scheme) as other:
        for status in (pathlock.status(tmp_path / "job", scheme=scheme), other_status(tmp_path / "job", scheme)):
            assert (status.state, status.locked) == ("held", True), status
            assert status.owner.pid == other.pid and status.owner.alive is True, "the other process holds it"
            assert status.owners == (status.owner,), "and nobody else"
        with pytest.raises(dataclasses.FrozenInstanceError):
            status.state = "free"  # A lock is not released by saying so.


def other_status(path, scheme):
    return pathlock.AsyncLock(path, scheme=scheme).status()


@each_scheme
def test_the_lock_of_a_killed_process_is_stale_and_the_next_takes_it_at_once(scheme, tmp_path):
    with held_elsewhere(tmp_path / "job", scheme=scheme) as other:
        other.kill()
        lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
        status = lock.status()
        assert (status.state, status.locked) == ("stale", False), status
        assert (status.owner.pid, status.owner.alive) == (other.pid, False), "it was the dead one's"
        assert lock.is_locked() is False, "it is not locked"
        assert lock.owner is None, "nobody holds it"
        with lock.acquire(timeout=0) as guard:
            assert guard.valid and lock.owner.pid == os.getpid(), "it is ours, without a wait"


@each_scheme
def test_a_waiter_gets_the_lock_when_its_holder_is_killed(scheme, tmp_path):
    with held_elsewhere(tmp_path / "job", scheme=scheme) as other:
        waiter = Waiter(tmp_path / "job", scheme=scheme)
        other.kill()
        assert waiter.guard().valid, "it has it"
        assert pathlock.status(tmp_path / "job", scheme=scheme).owner.pid == os.getpid(), "and says so"
        waiter.lock.release()


@each_scheme
def test_without_recovery_a_stale_lock_stays_until_it_is_broken(scheme, tmp_path):
    with held_elsewhere(tmp_path / "job", scheme=scheme) as other:
        other.kill()
        lock = pathlock.Lock(tmp_path / "job", scheme=scheme, recover=False)
        for timeout, kind in [(0, pathlock.AlreadyLocked), (0.02, pathlock.LockTimeout)]:
            error = refusal(lock.acquire, timeout)
            assert type(error) is kind and error.owner.pid == other.pid, f"with a timeout of {timeout}"
        assert lock.try_acquire() is None, "nor so"
        assert lock.status().state == "stale", "it is stale still"
        assert lock.break_lock() is True, "somebody decides that it may go"
        with lock.acquire(timeout=0) as guard:
            assert guard.valid, "now it is free"


@one_of(VANISHES)
def test_what_another_program_has_left_behind_is_unknown_and_counts_as_held(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    if scheme == "mkdir":
        os.mkdir(lock.lock_file)
    elif scheme == "symlink":
        os.symlink("somebody", lock.lock_file)
    else:
        open(lock.lock_file, "x").close()
    status = lock.status()
    assert (status.state, status.locked, status.owner) == ("unknown", True, None), status
    assert lock.is_locked() and lock.owner is None, "it is locked, by nobody knows whom"
    error = refusal(lock.acquire, 0)
    assert type(error) is pathlock.AlreadyLocked and error.owner is None, "nobody gets it"
    assert type(refusal(lock.acquire, 0.02)) is pathlock.LockTimeout, "nor in a while"
    assert lock.break_lock() is True and files(tmp_path) == [], "until somebody breaks it"
    with lock.acquire(timeout=0):
        assert lock.acquired, "then it is as any lock"


@each_scheme
def test_a_broken_lock_is_not_its_holders_any_more(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    assert lock.break_lock() is False, "there is nothing to break"
    for release in ("lock", "guard"):
        guard = lock.acquire()
        assert pathlock.Lock(lock.path, scheme=scheme).break_lock() is True, "somebody breaks it"
        assert not guard.valid and not lock.is_locked(), "it is free"
        error = refusal({"lock": lock, "guard": guard}[release].release)
        assert type(error) is pathlock.NotLocked and "broken" in str(error), f"the holder is told: {error}"
        assert lock.break_lock() is False, "there is nothing left"


@each_scheme
def test_who_has_acquired_a_broken_lock_keeps_it_when_the_old_holder_releases(scheme, tmp_path):
    with Other(tmp_path / "job", scheme=scheme) as other:
        lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
        for leave in (lock.release, None):
            guard = lock.acquire()
            other.ask("lock.break_lock()")
            other.ask("guard = lock.acquire(timeout=0)")
            with pytest.raises(pathlock.UnlockError) as caught:
                if leave:
                    leave()
                else:
                    with guard:
                        assert not guard.valid, "a look shows it"
            assert isinstance(caught.value, (pathlock.NotMyLock, pathlock.NotLocked)), caught.value
            assert other.ask("guard.valid"), "it is the other's, and stays"
            other.ask("lock.release()")


@one_of([scheme for scheme in pathlock.SCHEMES if scheme != "symlink"])
def test_the_status_shows_who_waits(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    lock.acquire()
    with Other(lock.path, scheme=scheme) as first, Other(lock.path, scheme=scheme) as second:
        for other in (first, second):
            other.tell("lock.acquire() and None")
            eventually(lambda pid=other.pid: pid in pids(lock.status().waiters), "it is seen to wait")
        both = sorted([first.pid, second.pid])
        assert pids(lock.status().waiters) == both, "both wait"
        assert pids(pathlock.status(lock.path, scheme=scheme).waiters) == both, "for all to see"
        assert lock.status().owner.pid == os.getpid(), "the holder is not one of them"
        lock.release()
        # Who has announced that it waits need not be in the queue yet.
        owner = eventually(lambda: (lock.owner and lock.owner.pid) in both and lock.owner, "one of them has it")
        has, waits = (first, second) if owner.pid == first.pid else (second, first)
        has.answer()
        eventually(lambda: pids(lock.status().waiters) == [waits.pid], "the other waits still")
        has.ask("lock.release()")
        waits.answer()
        eventually(lambda: lock.status().waiters == (), "nobody waits any more")


def pids(owners):
    return sorted(owner.pid for owner in owners)


@each_scheme
def test_looking_waits_for_nobody(scheme, tmp_path):
    with held_elsewhere(tmp_path / "job", scheme=scheme) as other:
        waiter = Waiter(tmp_path / "job", scheme=scheme)
        for _ in range(20):
            assert pathlock.status(tmp_path / "job", scheme=scheme).locked, "it is locked all the while"
        assert not waiter.outcome.done(), "and nobody was let in by that"
        other.ask("lock.release()")
        assert waiter.guard().valid, "the waiter gets it at last"
        waiter.lock.release()

"""Programs that use `lockfile` 0.12.2 and programs that use `pathlock.lockfile` exclude each other.

Whether they do is seen from outside: by what each says of the other's lock, and by a directory that only one can make
at a time.
"""

import os

import pytest
from children import PATIENCE, Child

every_kind = pytest.mark.parametrize("kind", ["link", "symlink", "mkdir", "pid"])
# Without a timeout a pid lock does not wait, in either library.
kinds_that_wait = pytest.mark.parametrize("kind", ["link", "symlink", "mkdir"])

# The timeout is short, as theirs poll ten times in one. Ours keep their place in the queue with none.
TURNS = """
def turns(audit, count, timeout, *again):
    for _ in range(count):
        while True:
            try:
                lock.acquire(timeout=timeout)
                break
            except (lockfile.LockTimeout, *again):
                pass
        os.mkdir(audit)
        os.sched_yield()
        os.rmdir(audit)
        lock.release()
"""


def lock_file(kind, path):
    return path if kind == "pid" else path.with_name(path.name + ".lock")


def pair(kind, path):
    ours, theirs = Child("ours"), Child("theirs")
    for child in (ours, theirs):
        child.make(kind, path)
    assert ours.ask("type(lock).__module__") != theirs.ask("type(lock).__module__"), "two libraries are in use"
    return ours, theirs


@pytest.mark.parametrize("first", ["ours", "theirs"])
@every_kind
def test_what_one_library_holds_is_locked_for_the_other(kind, first, tmp_path):
    path = tmp_path / "job"
    ours, theirs = pair(kind, path)
    with ours, theirs:
        holder, other = (ours, theirs) if first == "ours" else (theirs, ours)
        holder.ask("lock.acquire(timeout=-1)")
        assert holder.ask("lock.i_am_locking()") is True, "the holder knows that it holds"
        assert os.path.lexists(lock_file(kind, path)), "the lock is where both look for it"

        assert other.ask("lock.is_locked()") is True, "the other sees that it is held"
        assert other.ask("lock.i_am_locking()") is False, "and not by itself"
        for timeout, refusal in [(-1, "AlreadyLocked"), (0, "AlreadyLocked"), (0.05, "LockTimeout")]:
            told = other.refusal(f"lock.acquire(timeout={timeout})")
            assert told == refusal, f"a timeout of {timeout} while it is held"
        assert other.refusal("lock.release()") == "NotMyLock", "it can't release what is not its own"
        if kind == "pid":
            assert other.ask("lock.read_pid()") == holder.pid, "it reads whose lock it is"
        assert holder.ask("lock.i_am_locking()") is True, "nothing of this has taken the lock from the holder"

        holder.ask("lock.release()")
        assert other.ask("lock.is_locked()") is False, "the other sees that it is free"
        assert not os.path.lexists(lock_file(kind, path)), "nothing is left where both look"
        other.ask("lock.acquire(timeout=-1)")
        assert holder.ask("lock.is_locked()") is True, "now it is the other's"
        other.ask("lock.release()")
    assert os.listdir(tmp_path) == [], "both have tidied up"


def hand_over(holder, waiter, acquire):
    """How long after the holder's release the waiter had the lock, in seconds."""
    holder.ask("lock.acquire(timeout=-1)")
    waiter.begin(f"({acquire}, time.monotonic())[1]")
    released = holder.ask("(time.monotonic(), lock.release())[0]")
    had = waiter.answer()
    assert had >= released, "nobody is let in before the release"
    assert waiter.ask("lock.i_am_locking()") is True, "it has what it waited for"
    waiter.ask("lock.release()")
    return had - released


@every_kind
def test_ours_wait_for_theirs_and_wake_promptly(kind, tmp_path):
    ours, theirs = pair(kind, tmp_path / "job")
    with ours, theirs:
        # The best of some: one of them may meet the machine when it has other things to do. Polling as theirs do would
        # take seconds with this timeout.
        best = min(hand_over(theirs, ours, f"lock.acquire(timeout={PATIENCE})") for _ in range(5))
        assert best < 0.05, f"{best:.3f} s from their release to our lock"


@kinds_that_wait
def test_ours_wait_for_theirs_without_a_timeout(kind, tmp_path):
    ours, theirs = pair(kind, tmp_path / "job")
    with ours, theirs:
        best = min(hand_over(theirs, ours, "lock.acquire()") for _ in range(5))
        assert best < 0.05, f"{best:.3f} s from their release to our lock"


@every_kind
def test_theirs_wait_for_ours(kind, tmp_path):
    ours, theirs = pair(kind, tmp_path / "job")
    with ours, theirs:
        # Theirs look again after a tenth of the timeout, and without one after a tenth of a second.
        hand_over(ours, theirs, "lock.acquire(timeout=5)" if kind == "pid" else "lock.acquire()")


@every_kind
def test_a_waiter_of_ours_that_gives_up_leaves_their_lock_alone(kind, tmp_path):
    ours, theirs = pair(kind, tmp_path / "job")
    with ours, theirs:
        theirs.ask("lock.acquire(timeout=-1)")
        before = sorted(os.listdir(tmp_path))
        assert ours.refusal("lock.acquire(timeout=0.2)") == "LockTimeout", "it is held all the while"
        assert sorted(os.listdir(tmp_path)) == before, "the wait leaves nothing behind"
        theirs.ask("lock.release()")
        assert os.listdir(tmp_path) == [], "theirs release as if nobody had waited"


@pytest.mark.parametrize("our_timeout", [5, 0.02])
@every_kind
def test_nobody_ever_meets_another_inside(kind, our_timeout, tmp_path):
    audit = str(tmp_path / "audit")
    children = [Child(library) for library in ["ours", "theirs"] * 2]
    try:
        for child in children:
            child.make(kind, tmp_path / "job")
            child.ask(TURNS)
        # Their symlink lock reads a link that may have gone since they looked for it.
        turns = [f"turns({audit!r}, 100, {our_timeout})", f"turns({audit!r}, 50, 0.02, FileNotFoundError)"] * 2
        for child, code in zip(children, turns, strict=True):
            child.tell(code)
        for child in children:
            # Whoever meets another here answers that the audit's directory exists.
            child.answer()
        for child in children:
            assert child.ask("lock.is_locked()") is False, "nobody is left inside"
    finally:
        for child in children:
            child.kill()
    assert os.listdir(tmp_path) == [], "everybody has tidied up"

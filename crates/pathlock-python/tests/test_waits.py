"""Waits: what `on_wait` is told, what it can do, and waiting without acquiring."""

import threading
import time
import traceback

import pathlock
import pytest
from children import PATIENCE
from worlds import Other, Waiter, each_scheme, eventually, held_elsewhere, in_thread, one_of, refusal, seconds


@each_scheme
def test_on_wait_is_told_whom_the_wait_is_for(scheme, tmp_path):
    with held_elsewhere(tmp_path / "job", scheme=scheme) as other:
        for timeout in (None, PATIENCE):
            waiter = Waiter(tmp_path / "job", scheme=scheme, timeout=timeout)
            event = waiter.events[0]
            assert isinstance(event, pathlock.WaitEvent), event
            assert (event.path, event.lock_file) == (waiter.lock.path, waiter.lock.lock_file), "which lock it is"
            assert event.owner.pid == other.pid, "who holds it"
            assert event.detail, "how that is known"
            assert 0 <= event.waited < PATIENCE, "for how long it has waited"
            if timeout is None:
                assert event.deadline_in is None, "it never ends by itself"
            else:
                assert 0 < event.deadline_in <= timeout, "in how long the time is up"
            other.ask("lock.release()")
            waiter.guard().release()
            other.ask("lock.acquire()")


@each_scheme
def test_on_wait_is_not_called_without_a_wait(scheme, tmp_path):
    told = []
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, on_wait=told.append)
    with lock:
        assert told == [], "the lock was free"
    with held_elsewhere(tmp_path / "job", scheme=scheme):
        assert lock.try_acquire() is None, "who does not wait"
        assert type(refusal(lock.acquire, 0)) is pathlock.AlreadyLocked, "in whatever way"
        assert told == [], "is told by the outcome"


@one_of(["link", "symlink", "ofd"])
def test_on_wait_is_called_again_when_the_owner_changes(scheme, tmp_path):
    with held_elsewhere(tmp_path / "job", scheme=scheme) as parent:
        waiter = Waiter(tmp_path / "job", scheme=scheme)
        assert waiter.events[-1].owner.pid == parent.pid, "it waits for the parent"
        parent.ask(
            "def child_that_adopts():\n"
            "    ordered, orders = os.pipe()\n"
            "    child = os.fork()\n"
            "    if child == 0:\n"
            "        guard.adopt()\n"
            "        os.read(ordered, 1)\n"
            "        os._exit(0)\n"
            "    return child, orders\n"
        )
        child, orders = parent.ask("child_that_adopts()")
        eventually(lambda: waiter.events[-1].owner.pid == child, "it is told that it waits for the child now")
        assert not waiter.outcome.done(), "and waits on"
        parent.ask(f"os.write({orders}, b'!') and guard.forget()")
        assert waiter.guard().valid, "until the child lets go"
        waiter.lock.release()


class Enough(BaseException):
    """Not an `Exception`: even that is passed on."""


@each_scheme
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, Enough, pathlock.LockTimeout])
def test_what_on_wait_raises_ends_the_wait_and_is_raised_there(scheme, kind, tmp_path):
    raised = kind("no more")

    def told(event):
        raise raised

    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, on_wait=told)
    holder = pathlock.Lock(tmp_path / "job", scheme=scheme)
    in_thread(holder.acquire).result(PATIENCE)
    for wait in (lock.acquire, lambda: lock.acquire(timeout=PATIENCE), lock.__enter__):
        with pytest.raises(kind) as caught:
            wait()
        assert caught.value is raised, "it is the very exception"
        assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "told", (
            "its traceback says where it is from"
        )
        assert not lock.acquired, "nothing was acquired"
    holder.release()
    with holder.acquire(PATIENCE):
        pass  # Nothing stands in the way of others.
    eventually(lambda: holder.status().waiters == (), "nobody waits any more")


@each_scheme
def test_on_wait_may_use_other_locks_and_this_one(scheme, tmp_path):
    holder = pathlock.Lock(tmp_path / "job", scheme=scheme)
    in_thread(holder.acquire).result(PATIENCE)
    seen = []

    def told(event):
        with pathlock.Lock(tmp_path / "log", scheme=scheme):
            seen.append(lock.status().state)
        if not seen[1:]:
            holder.release()

    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, on_wait=told)
    with lock:
        assert seen[0] == "held", "it has looked at the lock that it waits for"
        assert not holder.acquired, "and released it, whereupon the wait has ended"


@each_scheme
def test_wait_free_waits_for_the_release_and_takes_nothing(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    assert lock.wait_free() is None and lock.wait_free(0) is None, "a free lock is not waited for"
    lock.acquire()
    with Other(lock.path, scheme=scheme) as other:
        assert other.refusal("lock.wait_free(0)") == "AlreadyLocked", "who does not wait is told"
        assert other.refusal("lock.wait_free(timeout=0.02)") == "LockTimeout", "the time passes"
        for wait in ("lock.wait_free()", f"lock.wait_free({PATIENCE})"):
            other.begin(wait)
            lock.release()
            assert other.answer() is None, f"{wait} returns"
            assert other.ask("lock.acquired") is False and not lock.is_locked(), "nothing is taken"
            lock.acquire()
    lock.release()


@each_scheme
def test_wait_free_ends_when_the_holder_is_killed(scheme, tmp_path):
    with held_elsewhere(tmp_path / "job", scheme=scheme) as holder, Other(tmp_path / "job", scheme=scheme) as other:
        other.begin("lock.wait_free()")
        holder.kill()
        assert other.answer() is None, "a stale lock is free"


@each_scheme
def test_wait_free_tells_on_wait(scheme, tmp_path):
    told = []

    class Stop(Exception):
        pass

    def on_wait(event):
        told.append(event)
        raise Stop

    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, on_wait=on_wait)
    with held_elsewhere(tmp_path / "job", scheme=scheme) as other:
        with pytest.raises(Stop):
            lock.wait_free(timeout=0.5)
        assert told[0].owner.pid == other.pid, "as an acquisition does"


@each_scheme
def test_a_wait_ends_neither_early_nor_much_too_late(scheme, tmp_path):
    with held_elsewhere(tmp_path / "job", scheme=scheme):
        lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
        for timeout in (0.001, 0.05):
            for wait in (lock.acquire, lock.wait_free):
                taken = [seconds(lambda: refusal(wait, timeout)) for _ in range(5)]
                assert min(taken) >= timeout, f"not before its time: {taken}"
                assert min(taken) < timeout + 0.05, f"and not long after: {taken}"


@each_scheme
def test_a_hand_over_to_a_thread_takes_no_poll_interval(scheme, tmp_path):
    def hand_over():
        holder = pathlock.Lock(tmp_path / "job", scheme=scheme)
        holder.acquire()
        waiter = Waiter(holder.path, scheme=scheme)
        took = seconds(lambda: (holder.release(), waiter.guard()))
        waiter.lock.release()
        return took

    taken = [hand_over() for _ in range(8)]
    assert min(taken) < 0.02, f"it is woken: {taken}"


@each_scheme
def test_waits_of_many_threads_end_one_by_one(scheme, tmp_path):
    holder = pathlock.Lock(tmp_path / "job", scheme=scheme)
    holder.acquire()
    waiters = [Waiter(holder.path, scheme=scheme) for _ in range(10)]
    holder.release()
    inside = threading.Semaphore(1)
    left = set(waiters)
    while left:
        waiter = eventually(lambda: next((one for one in left if one.outcome.done()), None), "the next gets it")
        assert inside.acquire(blocking=False), "alone"
        assert [one for one in left if one.outcome.done()] == [waiter], "nobody else has it"
        inside.release()
        waiter.lock.release()
        left.remove(waiter)
    assert not holder.is_locked(), "all have had it"


@each_scheme
def test_a_wait_takes_no_processor_time(scheme, tmp_path):
    with held_elsewhere(tmp_path / "job", scheme=scheme):
        lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
        for wait in (lock.acquire, lock.wait_free):
            used = []
            for _ in range(3):
                begun = time.process_time()
                refusal(wait, 0.25)
                used.append(time.process_time() - begun)
            assert min(used) < 0.05, f"{wait.__name__} sleeps: of 0.25 s it has used {used}"

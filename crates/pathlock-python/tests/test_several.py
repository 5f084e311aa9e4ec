"""What is made of locks: several at once, and decorated functions."""

import asyncio
import inspect
import threading

import pathlock
import pytest
from worlds import (
    PATIENCE,
    Other,
    done_in_thread,
    each_scheme,
    files,
    held_elsewhere,
    in_thread,
    one_of,
    refusal,
    seconds,
)


def locks_of(path, names, **options):
    return [pathlock.Lock(path / name, **options) for name in names]


@each_scheme
def test_several_locks_are_held_inside_the_block_and_free_after_it(scheme, tmp_path):
    locks = locks_of(tmp_path, "cab", scheme=scheme)
    with pathlock.acquire_all(locks):
        assert all(lock.is_locked() for lock in locks), "all are held"
        assert not any(done_in_thread(lock.try_acquire) for lock in locks), "nobody else gets one"
    assert not any(lock.is_locked() for lock in locks), "all are free"
    held = pathlock.acquire_all(iter(locks))
    assert all(lock.is_locked() for lock in locks), "they are held without a block, too"
    held.close()
    assert not any(lock.is_locked() for lock in locks), "until they are closed"
    with pytest.raises(ZeroDivisionError), pathlock.acquire_all(locks):
        raise ZeroDivisionError
    assert not any(lock.is_locked() for lock in locks), "an exception releases them"


@each_scheme
def test_if_one_is_busy_none_is_held(scheme, tmp_path):
    locks = locks_of(tmp_path, "abc", scheme=scheme)
    with held_elsewhere(tmp_path / "b", scheme=scheme) as other:
        for timeout, kind in [(0, pathlock.AlreadyLocked), (-1, pathlock.AlreadyLocked), (0.02, pathlock.LockTimeout)]:
            error = refusal(pathlock.acquire_all, locks, timeout)
            assert type(error) is kind and error.path == locks[1].path, f"with a timeout of {timeout}: {error!r}"
            assert error.owner.pid == other.pid, "it says who is in the way"
            assert [lock.is_locked() for lock in locks] == [False, True, False], "the others are free"
        error = refusal(pathlock.acquire_all, [*locks, pathlock.Lock(tmp_path / "no" / "d", scheme=scheme)])
        assert error.reason == "os", "what can't be acquired is told before anything is waited for"


@each_scheme
def test_the_timeout_is_for_all_of_them_together(scheme, tmp_path):
    with held_elsewhere(tmp_path / "a", scheme=scheme) as first, held_elsewhere(tmp_path / "b", scheme=scheme):
        events, told = {}, threading.Event()

        def on_wait(event):
            events.setdefault(event.path[-1], event)
            told.set()

        locks = locks_of(tmp_path, "ab", scheme=scheme, on_wait=on_wait)
        outcome = in_thread(seconds, lambda: refusal(pathlock.acquire_all, locks, 0.3))
        assert told.wait(PATIENCE), "it waits for the first"
        first.ask("lock.release()")
        assert outcome.result(PATIENCE) >= 0.3, "not before its time"
        if "b" in events:  # The release may have come too late for the second, on a machine that is busy.
            assert events["b"].deadline_in < events["a"].deadline_in, "the second has what the first has left"
            assert events["b"].waited > events["a"].waited, "and they have waited together"
        assert not locks[0].is_locked(), "the first is free again"


def test_two_that_want_the_same_in_another_order_do_not_wait_for_each_other(tmp_path):
    with Other() as one, Other() as another:
        for other, names in ((one, "abc"), (another, "cba")):
            other.ask(f"locks = [pathlock.Lock({str(tmp_path)!r} + '/' + name) for name in {names!r}]")
            other.ask(
                "def turns():\n"
                "    for _ in range(200):\n"
                "        with pathlock.acquire_all(locks):\n"
                f"            os.mkdir({str(tmp_path / 'audit')!r})\n"
                f"            os.rmdir({str(tmp_path / 'audit')!r})\n"
            )
        for other in (one, another):
            other.tell("turns()")
        for other in (one, another):
            assert other.answer() is None, "it has come to its end, and nobody was inside with it"


def test_one_that_is_given_twice_is_acquired_once(tmp_path):
    lock = pathlock.Lock(tmp_path / "a")
    with pathlock.acquire_all([lock, pathlock.Lock(tmp_path / "a"), lock]):
        assert lock.is_locked(), "it is held"
    assert not lock.is_locked(), "it is free"
    with pathlock.acquire_all([]):
        pass  # Nobody has to wait for nothing.


def test_several_locks_may_be_of_several_schemes(tmp_path):
    locks = [pathlock.Lock(tmp_path / scheme, scheme=scheme) for scheme in pathlock.SCHEMES]
    with pathlock.acquire_all(locks):
        assert all(lock.is_locked() for lock in locks), "all are held"
    assert not any(lock.is_locked() for lock in locks), "all are free"


@each_scheme
def test_several_are_waited_for_and_on_wait_is_told(scheme, tmp_path):
    holder = pathlock.Lock(tmp_path / "b", scheme=scheme)
    holder.acquire()
    told = threading.Event()
    locks = [pathlock.Lock(tmp_path / name, scheme=scheme, on_wait=lambda event: told.set()) for name in "ab"]
    outcome = in_thread(pathlock.acquire_all, locks)
    assert told.wait(PATIENCE), "it waits"
    assert locks[0].is_locked(), "with the first held"
    holder.release()
    with outcome.result(PATIENCE):
        assert all(lock.is_locked() for lock in locks), "until it has both"
    assert not any(lock.is_locked() for lock in locks), "all are free"

    def stop(event):
        raise ZeroDivisionError

    holder.acquire()
    locks = [pathlock.Lock(tmp_path / name, scheme=scheme, on_wait=stop) for name in "ab"]
    with pytest.raises(ZeroDivisionError):
        done_in_thread(pathlock.acquire_all, locks)
    assert not locks[0].is_locked(), "what on_wait raises leaves nothing held"
    holder.release()


def test_what_is_no_lock_is_refused(tmp_path):
    for locks in (["a"], [None], [pathlock.AsyncLock(tmp_path / "a")], None, 3):
        with pytest.raises(TypeError):
            pathlock.acquire_all(locks)
    assert files(tmp_path) == [], "nothing was acquired"


@each_scheme
def test_a_decorated_function_runs_with_the_lock_held(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)

    @pathlock.locked(tmp_path / "job", scheme=scheme)
    def add(one, other=1):
        """Adds."""
        assert lock.is_locked(), "it is held"
        return one / other

    assert add(6, other=3) == 2, "it is given what it is called with, and gives what it returns"
    assert not lock.is_locked(), "it is free"
    with pytest.raises(ZeroDivisionError):
        add(1, 0)
    assert not lock.is_locked(), "an exception releases it, and is passed on"
    assert (add.__name__, add.__doc__) == ("add", "Adds."), "it is known by its own name"
    assert list(inspect.signature(add).parameters) == ["one", "other"], "and by its own parameters"


@each_scheme
def test_a_decorated_coroutine_function_runs_with_the_lock_held(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    inside = 0

    @pathlock.locked(tmp_path / "job", scheme=scheme)
    async def divide(one, other=1):
        """Divides."""
        nonlocal inside
        inside += 1
        assert lock.is_locked() and inside == 1, "it is held, and nobody else is inside"
        await asyncio.sleep(0)
        inside -= 1
        return one / other

    async def main():
        assert inspect.iscoroutinefunction(divide) and divide.__name__ == "divide", "it is what it was"
        assert await asyncio.gather(*(divide(number) for number in range(10))) == list(range(10)), "one by one"
        with pytest.raises(ZeroDivisionError):
            await divide(1, 0)
        assert not lock.is_locked(), "it is free"

    asyncio.run(main())


def test_a_decorated_function_waits_as_long_as_it_is_told(tmp_path):
    with held_elsewhere(tmp_path / "job") as other:
        for timeout, kind in [(0, pathlock.AlreadyLocked), (0.02, pathlock.LockTimeout)]:

            @pathlock.locked(tmp_path / "job", timeout=timeout)
            def work():
                raise AssertionError("it runs without the lock")

            @pathlock.locked(tmp_path / "job", timeout=timeout)
            async def work_async():
                raise AssertionError("it runs without the lock")

            for call in (work, lambda: asyncio.run(work_async())):
                error = refusal(call)
                assert type(error) is kind and error.owner.pid == other.pid, f"with a timeout of {timeout}: {error!r}"


def test_a_decorated_method_and_a_recursive_function(tmp_path):
    class Job:
        @pathlock.locked(tmp_path / "job")
        def run(self, number):
            return self, number

    job = Job()
    assert job.run(3) == (job, 3), "a method gets its object"

    @pathlock.locked(tmp_path / "job")
    def strict(depth):
        return strict(depth - 1) if depth else "done"

    assert refusal(strict, 1).reason == "would-deadlock", "a function that calls itself would wait for itself"

    @pathlock.locked(tmp_path / "job", reentrant=True)
    def relaxed(depth):
        return relaxed(depth - 1) if depth else "done"

    assert relaxed(5) == "done", "unless it may enter again"
    assert not pathlock.status(tmp_path / "job").locked, "all of it is released"


def test_threads_run_a_decorated_function_one_by_one(tmp_path):
    inside = threading.Semaphore(1)

    @pathlock.locked(tmp_path / "job")
    def work():
        assert inside.acquire(blocking=False), "alone"
        inside.release()

    def turns():
        for _ in range(50):
            work()

    for outcome in [in_thread(turns) for _ in range(4)]:
        outcome.result(PATIENCE)


def test_a_relative_path_is_taken_from_where_the_function_was_decorated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    @pathlock.locked("job")
    def where():
        return files(tmp_path)

    @pathlock.locked("job")
    async def where_async():
        return files(tmp_path)

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert where() == ["elsewhere", "job.lock"], "a function"
    assert asyncio.run(where_async()) == ["elsewhere", "job.lock"], "and a coroutine function"


@one_of(["mkdir", "flock", "ofd", "sqlite"])
def test_decorated_readers_read_together(scheme, tmp_path):
    both = threading.Barrier(2)

    @pathlock.locked(tmp_path / "job", scheme=scheme, shared=True)
    def read():
        both.wait(PATIENCE)

    for outcome in [in_thread(read) for _ in range(2)]:
        outcome.result(PATIENCE)
    assert not pathlock.status(tmp_path / "job", scheme=scheme).locked, "it is free"

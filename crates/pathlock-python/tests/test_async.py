"""`AsyncLock` in asyncio, trio and anyio on both."""

import asyncio
import os
import threading

import anyio
import pathlock
import pytest
import trio
from loops import LOOPS, Told, each_loop, in_loop
from worlds import (
    PATIENCE,
    SHARED,
    SLOTS,
    VANISHES,
    Other,
    done_in_thread,
    each_scheme,
    files,
    in_thread,
    one_of,
)


async def refused(awaitable):
    with pytest.raises(pathlock.Error) as caught:
        await awaitable
    return caught.value


@each_scheme
@in_loop
async def test_async_with_holds_the_lock_and_its_end_releases_it(loop, scheme, tmp_path):
    lock = pathlock.AsyncLock(tmp_path / "job", scheme=scheme)
    assert not lock.acquired, "making a lock acquires nothing"
    sync = pathlock.Lock(tmp_path / "job", scheme=scheme)
    for entered in (
        lambda: lock,
        lock.acquire,
        lambda: lock.acquire(timeout=PATIENCE),
        lambda: lock.acquire(timeout=0),
    ):
        async with entered() as guard:
            assert isinstance(guard, pathlock.Guard) and guard.valid, "the block gets the guard"
            assert lock.acquired and lock.is_locked() and lock.status().state == "held", "it is held"
            assert lock.owner.pid == os.getpid(), "by this process"
            assert lock.owner.thread is None, "by none of its threads: a task has no thread of its own"
            assert sync.try_acquire() is None, "it excludes others, also in the same thread"
        assert not guard.valid and not lock.acquired and not lock.is_locked(), "it is free"
    if scheme in VANISHES:
        assert files(tmp_path) == [], "nothing is left on disk"


@each_scheme
@in_loop
async def test_an_exception_leaves_the_block_and_releases_the_lock(loop, scheme, tmp_path):
    lock = pathlock.AsyncLock(tmp_path / "job", scheme=scheme)
    for entered in (lambda: lock, lock.acquire):
        with pytest.raises(ZeroDivisionError):
            async with entered():
                raise ZeroDivisionError
        assert not lock.acquired and not lock.is_locked(), "it is free"


@each_scheme
@in_loop
async def test_what_is_awaited_is_released_once(loop, scheme, tmp_path):
    lock = pathlock.AsyncLock(tmp_path / "job", scheme=scheme)
    for release in ("lock", "guard"):
        guard = await lock.acquire()
        assert guard.valid and lock.acquired, "it is held"
        {"lock": lock, "guard": guard}[release].release()
        assert not guard.valid and not lock.acquired and not lock.is_locked(), f"{release}.release() has released it"
        for again in (lock.release, guard.release):
            with pytest.raises(pathlock.NotLocked):
                again()


@each_scheme
@in_loop
async def test_timeouts_are_those_of_lock(loop, scheme, tmp_path):
    with Other(tmp_path / "job", scheme=scheme) as other:
        other.ask("guard = lock.acquire()")
        lock = pathlock.AsyncLock(tmp_path / "job", scheme=scheme, timeout=0.02)
        for timeout, kind in [(0, pathlock.AlreadyLocked), (-1, pathlock.AlreadyLocked), (0.02, pathlock.LockTimeout)]:
            error = await refused(lock.acquire(timeout=timeout))
            assert type(error) is kind, f"with a timeout of {timeout}"
            assert error.owner.pid == other.pid, "it says who holds it"
        assert error.waited >= 0.02, "it has waited for its time"
        assert type(await refused(lock.acquire())) is pathlock.LockTimeout, (
            "the lock's own timeout is used without another"
        )
        assert type(await refused(lock.__aenter__())) is pathlock.LockTimeout, "so it is by its block"
        for timeout, kind in [(True, TypeError), ("1", TypeError), (float("nan"), ValueError)]:
            with pytest.raises(kind):
                await lock.acquire(timeout=timeout)
        assert not lock.acquired, "nothing was acquired"


@each_scheme
@in_loop
async def test_the_loop_runs_while_a_task_waits_for_another_process(loop, scheme, tmp_path):
    with Other(tmp_path / "job", scheme=scheme) as other:
        other.ask("guard = lock.acquire()")
        told = Told()
        lock = pathlock.AsyncLock(tmp_path / "job", scheme=scheme, on_wait=told.set)
        turns = 0

        async def work():
            nonlocal turns
            await told.wait()
            for _ in range(100):
                await anyio.sleep(0)
                turns += 1
            assert not lock.acquired, "it waits still"
            other.ask("lock.release()")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            async with lock as guard:
                assert guard.valid and turns == 100, "the other task has had its turns"


@one_of(["link", "flock", "ofd", "sqlite"])
@in_loop
async def test_200_tasks_are_served_one_by_one_in_the_order_in_which_they_asked(loop, scheme, tmp_path):
    lock = pathlock.AsyncLock(tmp_path / "job", scheme=scheme)
    asked, served, inside = [], [], 0

    async def work(number):
        nonlocal inside
        asked.append(number)
        async with lock:
            inside += 1
            served.append(number)
            await anyio.sleep(0)
            assert inside == 1, "nobody else is inside"
            inside -= 1

    async with anyio.create_task_group() as tasks:
        first = await lock.acquire()
        for number in range(200):
            tasks.start_soon(work, number)
        while len(asked) < 200:
            await anyio.sleep(0)
        first.release()
    assert served == asked, "first come, first served"
    assert not lock.acquired and not lock.is_locked(), "all have had it"


@in_loop
async def test_many_locks_at_once(loop, tmp_path):
    done = 0

    async def work(number):
        nonlocal done
        scheme = pathlock.SCHEMES[number % len(pathlock.SCHEMES)]
        # Two tasks for each lock, each with an object of its own.
        async with pathlock.AsyncLock(tmp_path / f"job-{number // 2 % 50}-{scheme}", scheme=scheme) as guard:
            await anyio.sleep(0)
            assert guard.valid, "it is held"
        done += 1

    async with anyio.create_task_group() as tasks:
        for number in range(700):
            tasks.start_soon(work, number)
    assert done == 700, "everybody has had its lock"


@in_loop
async def test_a_thousand_tasks_that_wait_take_two_threads(loop, tmp_path):
    lock = pathlock.AsyncLock(tmp_path / "job")
    before = len(os.listdir("/proc/self/task"))
    asked = 0

    async def work():
        nonlocal asked
        asked += 1
        async with lock:
            pass

    async with anyio.create_task_group() as tasks:
        first = await lock.acquire()
        for _ in range(1000):
            tasks.start_soon(work)
        while asked < 1000:
            await anyio.sleep(0)
        told = Told()
        last = pathlock.AsyncLock(tmp_path / "job", scheme="link", timeout=PATIENCE, on_wait=told.set)
        tasks.start_soon(last.acquire().__aenter__)
        threads = len(os.listdir("/proc/self/task")) - before
        assert threads <= 2, f"{threads} threads"
        first.release()
    last.release()


@in_loop
async def test_what_can_not_be_acquired_says_why(loop, tmp_path):
    error = await refused(pathlock.AsyncLock(tmp_path / "no" / "directory").acquire())
    assert (type(error), error.reason, error.errno) == (pathlock.LockFailed, "os", 2), "there is no directory"
    error = await refused(pathlock.AsyncLock(tmp_path / "job", shared=True).acquire())
    assert (type(error), error.reason) == (pathlock.LockFailed, "unsupported"), "link has no readers"
    assert files(tmp_path) == [], "nothing was made"


@each_scheme
@in_loop
async def test_on_wait_is_told_whom_the_wait_is_for(loop, scheme, tmp_path):
    events, told = [], Told()

    def on_wait(event):
        events.append(event)
        told.set()

    lock = pathlock.AsyncLock(tmp_path / "job", scheme=scheme, on_wait=on_wait)
    with Other(tmp_path / "job", scheme=scheme) as other:
        other.ask("guard = lock.acquire()")
        async with anyio.create_task_group() as tasks:

            async def release():
                await told.wait()
                other.ask("lock.release()")

            tasks.start_soon(release)
            async with lock:
                pass
    assert isinstance(events[0], pathlock.WaitEvent) and events[0].owner.pid == other.pid, events
    assert events[0].path == lock.path and events[0].lock_file == lock.lock_file, events


@each_scheme
@in_loop
async def test_what_on_wait_raises_is_raised_where_it_is_awaited(loop, scheme, tmp_path):
    raised = KeyError("no more")

    def on_wait(event):
        raise raised

    lock = pathlock.AsyncLock(tmp_path / "job", scheme=scheme, on_wait=on_wait)
    holder = pathlock.AsyncLock(tmp_path / "job", scheme=scheme)
    async with holder:
        for wait in (lock.acquire().__aenter__, lock.__aenter__):
            with pytest.raises(KeyError) as caught:
                await wait()
            assert caught.value is raised, "it is the very exception"
            assert not lock.acquired, "nothing was acquired"
    async with holder.acquire(timeout=PATIENCE):
        assert holder.acquired, "nothing stands in the way of others"


@one_of(SLOTS)
@in_loop
async def test_two_tasks_with_a_slot_each_release_their_own(loop, scheme, tmp_path):
    await each_releases_its_own(pathlock.AsyncLock(tmp_path / "job", scheme=scheme, slots=2))


@one_of(SHARED)
@in_loop
async def test_two_tasks_that_read_release_their_own(loop, scheme, tmp_path):
    await each_releases_its_own(pathlock.AsyncLock(tmp_path / "job", scheme=scheme, shared=True))


async def each_releases_its_own(lock):
    for leave in ("release", "block"):
        first_in, second_in = anyio.Event(), anyio.Event()
        guards = {}

        async def first():
            if leave == "block":
                async with lock as guards["first"]:
                    first_in.set()
                    await second_in.wait()
            else:
                guards["first"] = await lock.acquire()
                first_in.set()
                await second_in.wait()
                lock.release()
            assert not guards["first"].valid, "the first has released its own"
            assert guards["second"].valid, "and not the second's, though that is newer"

        async def second():
            await first_in.wait()
            guards["second"] = await lock.acquire()
            second_in.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            tasks.start_soon(second)
        assert lock.acquired and guards["second"].valid, "the task of the second has ended, and the lock is held"
        lock.release()
        assert not guards["second"].valid and not lock.acquired, "any task can release it now"


@one_of(SLOTS)
@in_loop
async def test_a_block_releases_what_it_has_acquired_and_nothing_else(loop, scheme, tmp_path):
    lock = pathlock.AsyncLock(tmp_path / "job", scheme=scheme, slots=3)
    others = []

    async def keep():
        others.append(await lock.acquire())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep)
    for release in (lambda guard: guard.release(), lambda guard: lock.release()):
        for entered in (lambda: lock, lock.acquire):
            async with entered() as mine:
                release(mine)
            assert others[0].valid, "the other task still has its slot"
    async with lock as first:
        second = await lock.acquire()
    assert not first.valid and second.valid, "what was acquired inside was not meant to end with the block"
    second.release()
    lock.release()
    assert not others[0].valid and not lock.acquired, "what was released by its guard is not looked for"


@in_loop
async def test_a_task_that_waits_for_itself_waits(loop, tmp_path):
    lock = pathlock.AsyncLock(tmp_path / "job")
    async with lock:
        assert type(await refused(lock.acquire(timeout=0.02))) is pathlock.LockTimeout, "it is not noticed"
        assert type(await refused(lock.acquire(timeout=0))) is pathlock.AlreadyLocked, "without waiting, as anybody"
    of_process = pathlock.AsyncLock(tmp_path / "job", reentrant=True, ownership="process")
    async with of_process as outer, of_process as inner:
        assert outer.valid and inner.valid, "the process may enter again where that is asked for"
    assert not of_process.is_locked(), "the last has released it"


@each_loop
def test_a_lock_outlives_its_loop(loop, tmp_path):
    lock = pathlock.AsyncLock(tmp_path / "job")

    async def acquire():
        await lock.acquire()

    for _ in range(3):
        LOOPS[loop](acquire())
        assert lock.acquired and lock.is_locked(), "the loop has ended, and the lock is held"
        lock.release()
        assert not lock.acquired and not lock.is_locked(), "outside of any loop it is released"


@each_loop
def test_loops_in_several_threads_exclude_each_other(loop, tmp_path):
    inside = threading.Semaphore(1)

    async def work():
        lock = pathlock.AsyncLock(tmp_path / "job")
        for _ in range(30):
            async with lock:
                assert inside.acquire(blocking=False), "alone"
                await anyio.sleep(0)
                inside.release()

    outcomes = [in_thread(lambda: LOOPS[loop](work())) for _ in range(4)]
    for outcome in outcomes:
        outcome.result(PATIENCE)


def test_trio_and_asyncio_share_a_lock_in_one_process(tmp_path):
    order = []

    async def in_asyncio():
        async with pathlock.AsyncLock(tmp_path / "job"):
            order.append("asyncio")
            done_in_thread(trio.run, in_trio, 0.01)

    async def in_trio(timeout):
        try:
            async with pathlock.AsyncLock(tmp_path / "job", timeout=timeout):
                order.append("trio")
        except pathlock.LockTimeout:
            order.append("too late")

    asyncio.run(in_asyncio())
    trio.run(in_trio, PATIENCE)
    assert order == ["asyncio", "too late", "trio"], order

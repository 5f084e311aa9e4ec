"""How waits of tasks end without the lock: cancelled, out of time, with their loop, with their program. Nothing stays held."""

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import time

import anyio
import pathlock
import pytest
import trio
from loops import LOOPS, Told, each_loop, in_loop
from worlds import PATIENCE, Other, each_scheme, files, one_of


@contextlib.asynccontextmanager
async def a_waiter(path, **options):
    """A task that waits for the lock of `path`, which this task holds; and what cancels it."""
    told = Told()
    lock = pathlock.AsyncLock(path, on_wait=told.set, **options)
    holder = pathlock.AsyncLock(path, **options)
    await holder.acquire()
    scope = anyio.CancelScope()

    async def wait():
        with scope:
            await lock.acquire()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await told.wait()
        yield holder, lock, scope
    if lock.acquired:
        lock.release()


async def comes_free(path, scheme):
    async with pathlock.AsyncLock(path, scheme=scheme).acquire(timeout=PATIENCE) as guard:
        assert guard.valid, "nobody stands in the way of the next"


@each_scheme
@in_loop
async def test_a_task_that_is_cancelled_while_it_waits_leaves_nothing(loop, scheme, tmp_path):
    path = tmp_path / "job"
    async with a_waiter(path, scheme=scheme) as (holder, lock, scope):
        before = files(tmp_path)
        scope.cancel()
    assert scope.cancelled_caught and not lock.acquired, "it was cancelled, and has nothing"
    assert files(tmp_path) == before, "nothing is left on disk"
    assert holder.acquired, "the holder has not noticed"
    holder.release()
    await comes_free(path, scheme)


@each_scheme
@in_loop
async def test_a_task_that_is_cancelled_at_the_moment_of_the_hand_over_holds_it_or_leaves_it(loop, scheme, tmp_path):
    path = tmp_path / "job"
    for turn in range(30):
        async with a_waiter(path, scheme=scheme) as (holder, lock, scope):
            if turn % 2:
                holder.release()
            for _ in range(turn // 6):
                await anyio.sleep(0)
            if turn % 3 == 1:
                await anyio.sleep(turn * 2e-5)  # Somewhen around the moment at which it is told.
            scope.cancel()
            if not turn % 2:
                holder.release()
        assert not (scope.cancelled_caught and lock.acquired), f"turn {turn}: who was cancelled holds nothing"
        await comes_free(path, scheme)


@in_loop
async def test_a_task_that_is_cancelled_before_it_begins_holds_nothing(loop, tmp_path):
    lock = pathlock.AsyncLock(tmp_path / "job")
    for entered in (lambda: lock, lock.acquire):
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with entered():
                await anyio.sleep(0)
        assert scope.cancelled_caught and not lock.acquired, "cancelled before, or at the first chance within"
        await comes_free(tmp_path / "job", "link")


@each_scheme
@in_loop
async def test_a_timeout_of_the_loop_ends_a_wait(loop, scheme, tmp_path):
    with Other(tmp_path / "job", scheme=scheme) as other:
        other.ask("guard = lock.acquire()")
        lock = pathlock.AsyncLock(tmp_path / "job", scheme=scheme)
        for entered in (lambda: lock, lock.acquire):
            with pytest.raises(TimeoutError):
                with anyio.fail_after(0.02):
                    async with entered():
                        pass
            assert not lock.acquired, "it has nothing"
        assert other.ask("guard.valid"), "the holder has not noticed"
        other.ask("lock.release()")
        await comes_free(tmp_path / "job", scheme)


def test_asyncio_s_own_timeouts_end_a_wait(tmp_path):
    async def main():
        lock, holder = (pathlock.AsyncLock(tmp_path / "job") for _ in range(2))
        async with holder:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(lock.acquire(), 0.02)
            if sys.version_info >= (3, 11):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02), lock:
                        pass
        guard = await asyncio.wait_for(lock.acquire(), PATIENCE)
        assert guard.valid, "in time it is acquired"
        lock.release()
        for turn in range(100):
            await holder.acquire()
            asyncio.get_running_loop().call_later(0.001, holder.release)
            try:
                await asyncio.wait_for(lock.acquire(), 0.0008 + turn * 4e-6)
            except asyncio.TimeoutError:
                assert not lock.acquired, f"turn {turn}: too late, and nothing is held"
            else:
                lock.release()
            await asyncio.sleep(0.001)
            await comes_free(tmp_path / "job", "link")

    asyncio.run(main())


def test_trio_s_own_timeouts_end_a_wait(tmp_path):
    async def main():
        lock, holder = (pathlock.AsyncLock(tmp_path / "job") for _ in range(2))
        async with holder:
            with trio.move_on_after(0.02) as scope:
                await lock.acquire()
            assert scope.cancelled_caught and not lock.acquired, "the time was up"
            with pytest.raises(trio.TooSlowError), trio.fail_after(0.02):
                async with lock:
                    pass
        await comes_free(tmp_path / "job", "link")

    trio.run(main)


@each_scheme
@in_loop
async def test_others_keep_their_turns_when_those_before_them_are_cancelled(loop, scheme, tmp_path):
    path = tmp_path / "job"
    served, scopes = [], [anyio.CancelScope() for _ in range(20)]

    async def work(number):
        with scopes[number]:
            async with pathlock.AsyncLock(path, scheme=scheme):
                served.append(number)

    async with pathlock.AsyncLock(path, scheme=scheme) as guard, anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(work, number)
        await anyio.sleep(0)
        for scope in scopes[::2]:
            scope.cancel()
        guard.release()
    assert sorted(served) == list(range(1, 20, 2)), "whoever was not cancelled has had it"
    await comes_free(path, scheme)


@one_of(["link", "ofd", "sqlite"])
def test_a_loop_that_is_closed_while_a_task_waits_leaves_nothing(scheme, tmp_path):
    holder = pathlock.Lock(tmp_path / "job", scheme=scheme)
    holder.acquire()
    told = []
    lock = pathlock.AsyncLock(tmp_path / "job", scheme=scheme, on_wait=told.append)
    loop = asyncio.new_event_loop()
    task = loop.create_task(lock.acquire()._acquire())
    while not told:
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    holder.release()
    # It may be won for the task by now, which will never know. So it is given back when the task is collected.
    task._log_destroy_pending = False
    del task
    gc.collect()
    assert not lock.acquired, "it has nothing"
    with holder.acquire(timeout=PATIENCE) as guard:
        assert guard.valid, "nobody stands in the way"


@each_loop
def test_a_loop_that_ends_with_an_error_ends_the_waits_of_its_tasks(loop, tmp_path):
    holder = pathlock.Lock(tmp_path / "job")
    holder.acquire()

    async def main():
        told = Told()
        lock = pathlock.AsyncLock(tmp_path / "job", on_wait=told.set)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lock.acquire().__aenter__)
            await told.wait()
            raise ZeroDivisionError

    with pytest.raises(BaseException) as caught:
        LOOPS[loop](main())
    assert "ZeroDivisionError" in repr(caught.value) or isinstance(caught.value, ZeroDivisionError), caught.value
    holder.release()
    with holder.acquire(timeout=PATIENCE) as guard:
        assert guard.valid, "nobody stands in the way"


RUN = {
    "asyncio": "import asyncio; run = lambda main: asyncio.run(main())",
    "trio": "import trio; run = trio.run",
}

WAITS = """
import json, signal
signal.signal(signal.SIGINT, signal.default_int_handler)

def on_wait(event):
    # An answer of its own, before that of the code which waits.
    print(json.dumps({"value": "it waits"}), flush=True)

lock = pathlock.AsyncLock(lock.path, scheme=lock.scheme, on_wait=on_wait)

async def main():
    async with lock:
        pass

def interrupted():
    try:
        run(main)
    except KeyboardInterrupt:
        return time.monotonic()
"""


@each_scheme
@pytest.mark.parametrize("loop", RUN)
def test_ctrl_c_ends_a_loop_whose_task_waits(loop, scheme, tmp_path):
    holder = pathlock.Lock(tmp_path / "job", scheme=scheme)
    holder.acquire()
    with Other(holder.path, scheme=scheme) as child:
        child.ask(RUN[loop])
        child.ask(WAITS)
        before, taken = files(tmp_path), []
        for _ in range(3):
            assert child.ask("interrupted()") == "it waits"
            sent = time.monotonic()
            os.kill(child.pid, signal.SIGINT)
            ended = child.answer()
            assert ended is not None, "it ends with KeyboardInterrupt"
            taken.append(ended - sent)
        assert min(taken) < 0.05, f"it ends at once: {taken}"
        assert not child.ask("lock.acquired"), "it has nothing"
        assert files(tmp_path) == before, "nothing is left on disk"
        holder.release()
        with holder.acquire(timeout=PATIENCE) as guard:
            assert guard.valid, "nobody stands in the way"


PROGRAMS = {
    "asyncio": "asyncio.run(main())",
    "trio": "trio.run(main)",
}


@pytest.mark.parametrize("loop", PROGRAMS)
def test_a_program_that_ends_right_after_its_loop_ends_well(loop, tmp_path):
    program = f"""
import pathlock, {loop}
async def main():
    async with pathlock.AsyncLock({str(tmp_path / "job")!r}):
        pass
{PROGRAMS[loop]}
"""
    ends = [ending(program) for _ in range(12)]
    assert ends == [(0, "")] * len(ends), "with exit code 0, and without a word"
    assert files(tmp_path) == [], "with nothing held"


@pytest.mark.parametrize("loop", PROGRAMS)
def test_a_program_that_ends_while_on_wait_is_told_ends_well(loop, tmp_path):
    program = f"""
import pathlock, threading, {loop}
told = threading.Event()
def on_wait(event):
    told.set()
    for _ in range(300_000):
        pass
async def main():
    lock = pathlock.AsyncLock({str(tmp_path / "job")!r}, on_wait=on_wait)
    async with lock:
        begun = lock.acquire()._acquire()
        begun.send(None)
        told.wait()
        begun.close()
{PROGRAMS[loop]}
"""
    ends = [ending(program) for _ in range(3)]
    assert ends == [(0, "")] * len(ends), "with exit code 0, and without a word"
    assert files(tmp_path) == [], "with nothing held"


def ending(program):
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    return ended.returncode, ended.stderr

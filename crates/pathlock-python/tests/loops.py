"""The loops that asynchronous tests run in. The tests themselves are written for anyio, which knows its way in all of them."""

import asyncio
import functools

import anyio
import pytest
import trio

LOOPS = {
    "asyncio": asyncio.run,
    "trio": lambda main: trio.run(lambda: main),
    "anyio on asyncio": lambda main: anyio.run(lambda: main, backend="asyncio"),
    "anyio on trio": lambda main: anyio.run(lambda: main, backend="trio"),
}

PATIENCE = 60.0

each_loop = pytest.mark.parametrize("loop", LOOPS)


def in_loop(test):
    """Runs an asynchronous test in the loop that its argument `loop` names."""

    @functools.wraps(test)
    def run(loop, **arguments):
        async def within_reason():
            with anyio.fail_after(PATIENCE):
                await test(loop, **arguments)

        LOOPS[loop](within_reason())

    return each_loop(run)


class Told:
    """An event of this loop that any thread can set."""

    def __init__(self):
        self._event = anyio.Event()
        self._loop = asyncio.get_running_loop() if in_asyncio() else trio.lowlevel.current_trio_token()

    def set(self, *_):
        soon = getattr(self._loop, "call_soon_threadsafe", None) or self._loop.run_sync_soon
        soon(self._event.set)

    async def wait(self):
        await self._event.wait()


def in_asyncio():
    try:
        return bool(asyncio.get_running_loop())
    except RuntimeError:
        return False

"""Locks for asynchronous programs: asyncio, trio, and anyio on either.

One thread of the library waits for all of them, in the kernel's queues; the loop's own threads never do.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import weakref
from collections.abc import Callable, Generator
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Literal

from ._errors import NotLocked
from ._info import Owner, Status, WaitEvent
from ._pathlock import Guard, Lock

if TYPE_CHECKING:
    from ._pathlock import Path


def _trio() -> Any:
    """The module trio, if it runs this code."""
    trio = sys.modules.get("trio")
    try:
        return trio if trio and trio.lowlevel.current_trio_token() else None
    except RuntimeError:
        return None  # It is imported, and another loop runs.


def _current_task() -> object:
    trio = _trio()
    try:
        return trio.lowlevel.current_task() if trio else asyncio.current_task()
    except RuntimeError:
        return None  # Released outside of any loop.


class _Bell:
    """What a task waits at until another thread has rung it."""

    def __init__(self) -> None:
        trio = _trio()
        self._new: Callable[[], Any] = trio.Event if trio else asyncio.Event
        self._event = self._new()
        self._run_soon: Callable[[Callable[[], object]], object] = (
            trio.lowlevel.current_trio_token().run_sync_soon
            if trio
            else asyncio.get_running_loop().call_soon_threadsafe
        )

    async def wait(self) -> None:
        await self._event.wait()
        self._event = self._new()

    def ringer(self) -> Callable[[], None]:
        """What rings it. It keeps nothing alive: a task whose loop was closed can be collected, and what is won for it released."""
        run_soon, itself = self._run_soon, weakref.ref(self)

        def set_event() -> None:
            bell = itself()
            if bell is not None:
                bell._event.set()

        def ring() -> None:
            try:
                run_soon(set_event)
            except RuntimeError:
                pass  # The loop is closed, and nobody waits any longer.

        return ring


def _holds(guard: Guard) -> bool:
    """Whether it was neither released nor acquired by the parent of this process."""
    try:
        return bool(guard.mode) and not guard.inherited
    except NotLocked:
        return False


class _Acquiring:
    """`await` it for the guard, or use it in `async with`."""

    def __init__(self, lock: AsyncLock, timeout: float | EllipsisType | None) -> None:
        self._lock = lock
        self._timeout = timeout
        self._guard: Guard | None = None

    async def _acquire(self) -> Guard:
        bell = _Bell()
        pending = self._lock._lock._begin(bell.ringer(), self._timeout)
        try:
            while (guard := pending.poll()) is None:
                await bell.wait()
        finally:
            # Cancelled or not: what is not wanted any more is given back.
            pending.drop()
        self._lock._keep(guard)
        return guard

    def __await__(self) -> Generator[Any, Any, Guard]:
        return self._acquire().__await__()

    async def __aenter__(self) -> Guard:
        self._guard = await self._acquire()
        return self._guard

    async def __aexit__(self, *_exception: object) -> None:
        if self._guard is not None:
            self._guard.__exit__()


class AsyncLock:
    """`Lock` for asynchronous programs. The arguments are those of `Lock`.

    ::

        async with pathlock.AsyncLock("backup.db"):
            ...

        lock = pathlock.AsyncLock("backup.db")
        async with lock.acquire(timeout=5) as guard:
            ...

    A task that waits can be cancelled at any time. A guard belongs to no thread and to no task: a task that waits
    for what it holds itself waits for ever. Releasing makes a few calls of the system where it happens.
    """

    def __init__(
        self,
        path: Path,
        *,
        scheme: str | None = None,
        at: bool = False,
        shared: bool = False,
        timeout: float | None = None,
        slots: int = 1,
        reentrant: bool = False,
        ownership: Literal["thread", "process"] = "thread",
        lease: float | None = None,
        recover: bool = True,
        mode: int | None = None,
        command: str | None = None,
        on_wait: Callable[[WaitEvent], object] | None = None,
        on_lost: Callable[[], object] | None = None,
    ) -> None:
        self._lock = Lock(
            path,
            scheme=scheme,
            at=at,
            shared=shared,
            timeout=timeout,
            slots=slots,
            reentrant=reentrant,
            ownership=ownership,
            lease=lease,
            recover=recover,
            mode=mode,
            command=command,
            on_wait=on_wait,
            on_lost=on_lost,
        )
        self._acquired: list[tuple[object, Guard]] = []
        self._entered: list[tuple[object, Guard]] = []

    def acquire(self, timeout: float | EllipsisType | None = ...) -> _Acquiring:
        """Acquires the lock, when it is awaited; waits for `timeout` seconds at most, None for ever."""
        return _Acquiring(self, timeout)

    def release(self) -> None:
        """Releases what this task has acquired last through this object; otherwise what another task has."""
        guard = self._newest()
        if guard is None:
            self._lock.release()  # It says that there is nothing.
        else:
            guard.release()

    def _newest(self) -> Guard | None:
        task = _current_task()
        held = self._held()
        mine = [guard for whose, guard in held if whose is task]
        if mine:
            return mine[-1]
        return held[-1][1] if held else None

    def _held(self) -> list[tuple[object, Guard]]:
        """What this object has acquired and still holds: a guard may have been released without it."""
        self._acquired = [entry for entry in self._acquired if _holds(entry[1])]
        return self._acquired

    def _keep(self, guard: Guard) -> None:
        self._held().append((_current_task(), guard))

    async def __aenter__(self) -> Guard:
        guard = await self.acquire()
        self._entered.append((_current_task(), guard))
        return guard

    async def __aexit__(self, *_exception: object) -> None:
        task = _current_task()
        # A block can end in another task than it has begun in.
        mine = [entry for entry in self._entered if entry[0] is task] or self._entered
        if mine:
            self._entered.remove(mine[-1])
            mine[-1][1].__exit__()

    @property
    def acquired(self) -> bool:
        """Whether something is held that was acquired through this object."""
        return bool(self._held())

    @property
    def path(self) -> str:
        """What is protected, as an absolute path."""
        return self._lock.path

    @property
    def lock_file(self) -> str:
        """The lock file, as an absolute path."""
        return self._lock.lock_file

    @property
    def scheme(self) -> str:
        """The name of the scheme."""
        return self._lock.scheme

    @property
    def owner(self) -> Owner | None:
        """Who holds the lock, where that is known."""
        return self._lock.owner

    @property
    def token(self) -> int | None:
        """The fencing token of what was acquired last; None where nothing is held, or the scheme counts none."""
        guard = self._newest()
        return None if guard is None else guard.token

    def is_locked(self) -> bool:
        """Whether somebody holds the lock, or may hold it."""
        return self._lock.is_locked()

    def status(self) -> Status:
        """Looks at the lock."""
        return self._lock.status()

    def break_lock(self) -> bool:
        """Removes the lock, whoever holds it. Returns whether there was one."""
        return self._lock.break_lock()

    def __reduce__(self) -> tuple[Callable[..., AsyncLock], tuple[Any, ...]]:
        args, options = self._lock.__getnewargs_ex__()
        return functools.partial(AsyncLock, **options), args

    def __repr__(self) -> str:
        return repr(self._lock).replace("Lock", "AsyncLock", 1)

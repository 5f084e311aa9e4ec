"""What is put together from locks: decorators, several at once, and the place of lockfile."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from ._async import AsyncLock
from ._info import Status
from ._pathlock import Lock, _acquire_all

if TYPE_CHECKING:
    from ._pathlock import Path

_Function = TypeVar("_Function", bound=Callable[..., Any])


def locked(path: Path, *, timeout: float | None = None, **options: Any) -> Callable[[_Function], _Function]:
    """Decorates a function, or a coroutine function, to run with the lock of `path` held.

    `options` are those of `Lock`. Every call acquires anew, and waits for `timeout` seconds at most.
    """
    lock = Lock(path, timeout=timeout, **options)

    def decorate(function: _Function) -> _Function:
        if inspect.iscoroutinefunction(function):
            lock_for_tasks = AsyncLock(path, timeout=timeout, **options)

            @functools.wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                async with lock_for_tasks.acquire():
                    return await function(*args, **kwargs)

            return run_async  # type: ignore[return-value]

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with lock.acquire():
                return function(*args, **kwargs)

        return run  # type: ignore[return-value]

    return decorate


def status(path: Path, *, scheme: str | None = None, at: bool = False) -> Status:
    """Looks at the lock of `path`: whether it is held, by whom, and who waits. Never waits, and takes nothing."""
    return Lock(path, scheme=scheme, at=at).status()


def acquire_all(locks: Iterable[Lock], timeout: float | None = None) -> contextlib.ExitStack:
    """Acquires several locks, all or none, in one order for everybody, so that no two callers wait for each other.

    Leaving the `with` block of what is returned releases them; so does its `close()`.
    """
    stack = contextlib.ExitStack()
    for guard in _acquire_all(list(locks), timeout):
        stack.push(guard)
    return stack


def install_as_lockfile() -> None:
    """Lets `import lockfile` find `pathlock.lockfile`, in this process and in what it forks.

    For programs that can't be changed. To be called before they are imported: what has imported the package
    lockfile already keeps it.
    """
    from . import lockfile
    from .lockfile import linklockfile, mkdirlockfile, pidlockfile, sqlitelockfile, symlinklockfile

    sys.modules["lockfile"] = lockfile
    for module in (linklockfile, mkdirlockfile, pidlockfile, sqlitelockfile, symlinklockfile):
        sys.modules["lockfile." + module.__name__.rpartition(".")[2]] = module

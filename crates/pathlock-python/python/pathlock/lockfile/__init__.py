"""What the package lockfile 0.12.2 has, name for name, over pathlock.

The names, the forms on disk and the exceptions are lockfile's; a program that uses lockfile and one that uses this
exclude each other. Waits do not poll, a killed holder blocks nobody, and a lock is one owner's. `docs/python.md` says
what differs; `python -m pathlock.lockfile --check PROGRAM` says what of that your program would notice.

>>> from pathlock.lockfile import LockFile, AlreadyLocked
>>> lock = LockFile("somefile")
>>> with lock:
...     lock.is_locked()
True
>>> lock.is_locked()
False
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from .._errors import AlreadyLocked, Error, LockError, LockFailed, LockTimeout, NotLocked, NotMyLock, UnlockError
from ._base import LockBase, SchemeLock
from ._base import _SharedBase as _SharedBase

__all__ = [
    "AlreadyLocked",
    "Error",
    "FileLock",
    "LinkFileLock",
    "LockBase",
    "LockError",
    "LockFailed",
    "LockFile",
    "LockTimeout",
    "MkdirFileLock",
    "NotLocked",
    "NotMyLock",
    "SQLiteFileLock",
    "UnlockError",
    "locked",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _fl_helper(cls: Callable[..., Any], mod: str, *args: Any, **kwds: Any) -> Any:
    warnings.warn(f"Import from {mod} module instead of lockfile package", DeprecationWarning, stacklevel=3)
    # As an attribute of a class a factory is called with the instance first.
    if args and not isinstance(args[0], (str, bytes, os.PathLike)):
        args = args[1:]
    if len(args) == 1 and not kwds:
        kwds["threaded"] = True
    return cls(*args, **kwds)


def LinkFileLock(*args: Any, **kwds: Any) -> Any:
    """Deprecated: use `linklockfile.LinkLockFile`."""
    return _fl_helper(linklockfile.LinkLockFile, "lockfile.linklockfile", *args, **kwds)


def MkdirFileLock(*args: Any, **kwds: Any) -> Any:
    """Deprecated: use `mkdirlockfile.MkdirLockFile`."""
    return _fl_helper(mkdirlockfile.MkdirLockFile, "lockfile.mkdirlockfile", *args, **kwds)


def SQLiteFileLock(*args: Any, **kwds: Any) -> Any:
    """Deprecated: use `sqlitelockfile.SQLiteLockFile`."""
    from . import sqlitelockfile

    return _fl_helper(sqlitelockfile.SQLiteLockFile, "lockfile.sqlitelockfile", *args, **kwds)


def locked(path: Any, timeout: float | None = None) -> Callable[[_Function], _Function]:
    """Decorates a function to run with the lock of `path` held; waits for `timeout` seconds at most."""

    def decor(func: _Function) -> _Function:
        @functools.wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            lock = FileLock(path, timeout=timeout)
            lock.acquire()
            try:
                return func(*args, **kwargs)
            finally:
                lock.release()

        return wrapper  # type: ignore[return-value]

    return decor


# The modules import the exceptions from here, so they come last.
from . import linklockfile, mkdirlockfile  # noqa: E402

LockFile: type[SchemeLock] = linklockfile.LinkLockFile if hasattr(os, "link") else mkdirlockfile.MkdirLockFile
FileLock = LockFile

"""Lock files that always come free.

Two jobs that must not run at once take the lock of the same path first. It is free again when its holder
releases it *or dies*::

    import pathlock

    with pathlock.Lock("backup.db"):                # waits; backup.db.lock is the lock
        ...

    lock = pathlock.Lock("backup.db", scheme="flock", timeout=5)
    with lock.acquire(timeout=0):                   # AlreadyLocked at once, and who holds it
        ...

`AsyncLock` is the same for asyncio, trio and anyio; `locked` is a decorator; `status` looks and takes nothing.
`pathlock.lockfile` takes the place of the package lockfile, name for name.

No wait polls, none holds the GIL, and Ctrl-C ends any. A forked child holds nothing of its parent's. From
Python 3.12 on the package can't be imported in a subinterpreter.
"""

from __future__ import annotations

import atexit as _atexit
import os as _os

from ._async import AsyncLock
from ._errors import AlreadyLocked, Error, LockError, LockFailed, LockTimeout, NotLocked, NotMyLock, UnlockError
from ._info import Owner, Status, WaitEvent
from ._locking import acquire_all, install_as_lockfile, locked, status
from ._pathlock import SCHEMES, Guard, Lock, __version__, _end, _has_forked, _is_forked

__all__ = [
    "SCHEMES",
    "AlreadyLocked",
    "AsyncLock",
    "Error",
    "Guard",
    "Lock",
    "LockError",
    "LockFailed",
    "LockTimeout",
    "NotLocked",
    "NotMyLock",
    "Owner",
    "Status",
    "UnlockError",
    "WaitEvent",
    "__version__",
    "acquire_all",
    "install_as_lockfile",
    "locked",
    "status",
]

_atexit.register(_end)
if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(after_in_parent=_has_forked, after_in_child=_is_forked)

"""Locks that are symbolic links: `PATH.lock`, whose target says who holds it."""

from __future__ import annotations

import os

from . import (
    AlreadyLocked,
    Error,
    LockBase,
    LockError,
    LockFailed,
    LockTimeout,
    NotLocked,
    NotMyLock,
    UnlockError,
)
from ._base import SchemeLock

__all__ = [
    "AlreadyLocked",
    "Error",
    "LockBase",
    "LockError",
    "LockFailed",
    "LockTimeout",
    "NotLocked",
    "NotMyLock",
    "SymlinkLockFile",
    "UnlockError",
]


class SymlinkLockFile(SchemeLock):
    """A lock file of scheme symlink."""

    _scheme = "symlink"

    def _name_of(self, pid: int) -> str:
        # It was the target of the link, which has no directory.
        return os.path.basename(super()._name_of(pid))

"""Locks that are directories: `PATH.lock`, with a file for its owner."""

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
    "MkdirLockFile",
    "NotLocked",
    "NotMyLock",
    "UnlockError",
]


class MkdirLockFile(SchemeLock):
    """A lock file of scheme mkdir."""

    _scheme = "mkdir"

    def _name_of(self, pid: int) -> str:
        return os.path.join(self.lock_file, f"{self.hostname}.{self.tname}{pid}")

"""Locks that are hard links: `PATH.lock`, which link(2) makes for one contender."""

from __future__ import annotations

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
    "LinkLockFile",
    "LockBase",
    "LockError",
    "LockFailed",
    "LockTimeout",
    "NotLocked",
    "NotMyLock",
    "UnlockError",
]


class LinkLockFile(SchemeLock):
    """A lock file of scheme link."""

    _scheme = "link"

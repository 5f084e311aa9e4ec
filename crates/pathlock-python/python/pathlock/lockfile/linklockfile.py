"""Locks that are hard links: `PATH.lock`, which link(2) makes for one contender."""

from __future__ import annotations

from . import AlreadyLocked, LockBase, LockFailed, LockTimeout, NotLocked, NotMyLock
from ._base import SchemeLock

__all__ = ["AlreadyLocked", "LinkLockFile", "LockBase", "LockFailed", "LockTimeout", "NotLocked", "NotMyLock"]


class LinkLockFile(SchemeLock):
    """A lock file of scheme link."""

    _scheme = "link"

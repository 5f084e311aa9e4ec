"""Locks that are directories: `PATH.lock`, with a file for its owner."""

from __future__ import annotations

import os

from . import AlreadyLocked, LockBase, LockFailed, LockTimeout, NotLocked, NotMyLock
from ._base import SchemeLock

__all__ = ["AlreadyLocked", "MkdirLockFile", "LockBase", "LockFailed", "LockTimeout", "NotLocked", "NotMyLock"]


class MkdirLockFile(SchemeLock):
    """A lock file of scheme mkdir."""

    _scheme = "mkdir"

    def _name_of(self, pid: int) -> str:
        return os.path.join(self.lock_file, f"{self.hostname}.{self.tname}{pid}")

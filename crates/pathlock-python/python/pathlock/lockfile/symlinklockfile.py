"""Locks that are symbolic links: `PATH.lock`, whose target says who holds it."""

from __future__ import annotations

import os

from . import AlreadyLocked, LockBase, LockFailed, LockTimeout, NotLocked, NotMyLock
from ._base import SchemeLock

__all__ = ["AlreadyLocked", "SymlinkLockFile", "LockBase", "LockFailed", "LockTimeout", "NotLocked", "NotMyLock"]


class SymlinkLockFile(SchemeLock):
    """A lock file of scheme symlink."""

    _scheme = "symlink"

    def _name_of(self, pid: int) -> str:
        # It was the target of the link, which has no directory.
        return os.path.basename(super()._name_of(pid))

"""Locks that are rows of a database: `PATH.lock.db`, or one database for all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._pathlock import Lock
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

if TYPE_CHECKING:
    import sqlite3

__all__ = [
    "AlreadyLocked",
    "Error",
    "LockBase",
    "LockError",
    "LockFailed",
    "LockTimeout",
    "NotLocked",
    "NotMyLock",
    "SQLiteLockFile",
    "UnlockError",
]


class SQLiteLockFile(SchemeLock):
    """A lock in an SQLite database, which excludes other threads and other processes.

    lockfile's database is private to its process, and so its locks are, too.
    """

    _scheme = "sqlite"

    testdb: str | None = None
    """The database that all locks are in; None for one beside each path."""

    def _native(self) -> Lock:
        if self.testdb is None:
            absolute = os.path.abspath(self.path)
            # The same database; but this way errors name the path, and that way it may have a "#".
            if self.lock_file == absolute + ".lock" and "#" not in absolute:
                return Lock(absolute, scheme="sqlite")
            return Lock(self.lock_file + ".db", scheme="sqlite", at=True)
        name = self.lock_file.replace("%", "%25").replace("#", "%23")
        return Lock(f"{os.fsdecode(self.testdb)}#{name}", scheme="sqlite")

    @property
    def connection(self) -> sqlite3.Connection:
        """A connection to the database, for looking. Any thread may use it."""
        connection = self.__dict__.get("_connection")
        if connection is None:
            import sqlite3

            connection = self._connection = sqlite3.connect(self._native().lock_file, check_same_thread=False)
        return connection

    def _who_is_locking(self) -> str | None:
        owner = self._native().owner
        return None if owner is None else f"pid {owner.pid} on {owner.host}"

"""Pid files that are locks: `PATH` itself, whose first line is the pid of its owner.

The lines after it are pathlock's record, which the FHS allows for: "Programs that read PID files should … ignore
extra whitespace, leading zeroes, absence of the trailing newline, or additional lines".
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from typing import Any

from .._pathlock import Lock, Look
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
    _holds,
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
    "PIDLockFile",
    "UnlockError",
    "read_pid_from_pidfile",
    "remove_existing_pidfile",
    "write_pid_to_pidfile",
]


class PIDLockFile(SchemeLock):
    """A pid file that is a lock. It belongs to the process: `threaded` is ignored.

    `acquire` without a timeout does not wait, other than that of all the other locks: programs rely on it.
    """

    _scheme = "pid"
    _given: tuple[str, str] | None = None

    def __init__(self, path: Any, threaded: bool = False, timeout: float | None = None) -> None:
        super().__init__(path, False, timeout)
        self.unique_name = self.path
        # A daemon changes its directory.
        self._given = (self.path, os.path.abspath(self.path))

    def _place(self) -> str:
        if self._given is not None and self._given[0] == self.path:
            return self._given[1]
        return os.path.abspath(self.path)

    def _native(self) -> Lock:
        return Lock(self._place(), scheme="pid")

    def _name(self) -> str:
        # A process has one lock of a pid file, whoever of it asks.
        return self._place()

    def read_pid(self) -> int | None:
        """The pid in the file; None if there is none."""
        return read_pid_from_pidfile(self._place())

    def i_am_locking(self) -> bool:
        """Whether the file names this process."""
        return self.is_locked() and os.getpid() == self.read_pid()

    def acquire(self, timeout: float | None = None) -> None:
        if timeout is None:
            timeout = self.timeout
        place = self._place()
        if self._is_entered():
            return
        try:
            write_pid_to_pidfile(place)
        except OSError as error:
            why = error.__cause__
            if error.errno != errno.EEXIST:
                if isinstance(why, LockFailed):
                    raise why from None
                raise LockFailed(f"failed to create {self.path}", path=self.path, errno=error.errno) from error
            if timeout is not None and timeout > 0:
                self._mine = _holds.Hold(self._take(timeout), (place, place))
                return
            if isinstance(why, AlreadyLocked):
                self._seen = why._seen
                raise why from None
            raise AlreadyLocked(f"{self.path} is already locked", path=self.path, errno=error.errno) from error
        self._mine = _holds.find(place, place)

    def release(self) -> None:
        hold = self._hold()
        inherited = hold is not None and hold.guard.inherited and hold.can_be_let_go()
        if not inherited:
            if not self.is_locked():
                if hold is not None and not hold.guard.inherited:
                    hold.give_up()
                raise NotLocked(f"{self.path} is not locked", path=self.path, lock_file=self._place())
            if not self.i_am_locking():
                raise self._not_mine()
        remove_existing_pidfile(self._place())

    def break_lock(self) -> None:
        hold = self._hold()
        if hold is not None and not hold.guard.inherited and not hold.guard.valid:
            hold.give_up()
        _breaking.seen, self._seen = self._seen, None
        try:
            remove_existing_pidfile(self._place())
        finally:
            _breaking.seen = None


class _Breaking(threading.local):
    """Which lock this thread is to remove, where it has seen one: others may call the functions below, too."""

    seen: Look | None = None


_breaking = _Breaking()


def read_pid_from_pidfile(pidfile_path: Any) -> int | None:
    """The pid in the first line of a file; None if it can't be read, or has no number there that can be a pid."""
    try:
        # A pipe that has its name must not block us.
        fd = os.open(pidfile_path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        line = os.read(fd, 64).partition(b"\n")[0].strip()
    except OSError:
        return None
    finally:
        os.close(fd)
    # int() takes signs, underscores and digits of other scripts, too; and 0 and -1 are whole groups to kill(2).
    if not line.isdigit():
        return None
    pid = int(line)
    return pid if 0 < pid < 2**31 else None


def write_pid_to_pidfile(pidfile_path: Any) -> None:
    """Makes a pid file that names this process, and holds its lock.

    Raises OSError, with EEXIST if there is one that is held.
    """
    place = os.path.abspath(os.fsdecode(pidfile_path))
    try:
        guard = Lock(place, scheme="pid").acquire(0)
    except AlreadyLocked as error:
        raise FileExistsError(errno.EEXIST, str(error), place) from error
    except LockFailed as error:
        raise OSError(error.errno or errno.EINVAL, str(error), place) from error
    _holds.Hold(guard, (place, place))


def remove_existing_pidfile(pidfile_path: Any) -> None:
    """Removes a pid file: releases it if this process holds it, and breaks it otherwise. Does nothing if there is none."""
    place = os.path.abspath(os.fsdecode(pidfile_path))
    hold = _holds.find(place, place)
    if hold is not None and not hold.guard.inherited:
        hold.forget()
        try:
            hold.guard.release()
        except NotLocked:
            pass  # It is gone, as was wanted.
        return
    lock = Lock(place, scheme="pid")
    try:
        if _breaking.seen is None:
            lock.break_lock()
        else:
            lock._break_if(_breaking.seen)
    except LockFailed as error:
        raise OSError(error.errno or errno.EINVAL, str(error), place) from error

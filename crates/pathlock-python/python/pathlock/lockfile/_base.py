"""`LockBase`, for locks of one's own, and what the schemes of pathlock share."""

from __future__ import annotations

import os
import threading
from typing import Any, TypeVar

from .._errors import AlreadyLocked, LockError, LockTimeout, NotLocked, NotMyLock
from .._pathlock import Guard, Lock, Look
from . import _holds


def _hostname() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket

    return socket.gethostname()


_Self = TypeVar("_Self", bound="_SharedBase")


class _SharedBase:
    path: str

    def __init__(self, path: Any) -> None:
        self.path = os.fsdecode(path)

    def acquire(self, timeout: float | None = None) -> None:
        """Acquires the lock.

        * `timeout` None, or not given: wait as long as the constructor's timeout says; for ever if that is None, too.
        * positive: wait for so many seconds, then raise `LockTimeout`.
        * zero or negative: raise `AlreadyLocked` at once if it is locked.
        """
        raise NotImplementedError("implement in subclass")

    def release(self) -> None:
        """Releases the lock. Raises `NotLocked` if it is not locked, and `NotMyLock` if it is another's."""
        raise NotImplementedError("implement in subclass")

    def __enter__(self: _Self) -> _Self:
        self.acquire()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<{self.__class__.__name__}: {getattr(self, 'path', None)!r}>"


class LockBase(_SharedBase):
    """Base class of all locks here, and of locks of your own."""

    lock_file: str
    hostname: str
    pid: int
    tname: str
    unique_name: str
    timeout: float | None

    def __init__(self, path: Any, threaded: bool = True, timeout: float | None = None) -> None:
        super().__init__(path)
        self.lock_file = os.path.abspath(self.path) + ".lock"
        self.hostname = _hostname()
        self.pid = os.getpid()
        self.tname = f"-{threading.get_ident() & 0xFFFFFFFF:x}" if threaded else ""
        self.unique_name = self._name_of(self.pid)
        self.timeout = timeout

    def _name_of(self, pid: int) -> str:
        """The owner's name: of this process, this thread if it is threaded, and this path."""
        name = f"{self.hostname}{self.tname}.{pid}{hash(self.path)}"
        return os.path.join(os.path.dirname(self.lock_file), name)

    def is_locked(self) -> bool:
        """Whether the lock is held."""
        raise NotImplementedError("implement in subclass")

    def i_am_locking(self) -> bool:
        """Whether it is this owner who holds it."""
        raise NotImplementedError("implement in subclass")

    def break_lock(self) -> None:
        """Removes the lock, whoever holds it."""
        raise NotImplementedError("implement in subclass")

    def __repr__(self) -> str:
        # One whose `__init__` never ran, as in a test with mocks, can be shown, too.
        unique_name, path = getattr(self, "unique_name", None), getattr(self, "path", None)
        return f"<{self.__class__.__name__}: {unique_name!r} -- {path!r}>"


class SchemeLock(LockBase):
    """A lock of one of pathlock's schemes.

    Its attributes may be written at any time: each call goes by what they are then.
    """

    _scheme: str
    _made: tuple[str, str, Lock] | None = None
    _mine: _holds.Hold | None = None
    _seen: Look | None = None

    def _place(self) -> str:
        """What names the lock among those that this process holds."""
        return self.lock_file

    def _name(self) -> str:
        """What names the owner among those."""
        return self.unique_name

    def _native(self) -> Lock:
        """The library's handle of what the attributes say now."""
        made = self._made
        if made is None or made[0] is not self.path or made[1] is not self.lock_file:
            absolute = os.path.abspath(self.path)
            if self.lock_file == absolute + ".lock":
                lock = Lock(absolute, scheme=self._scheme)
            else:
                lock = Lock(self.lock_file, scheme=self._scheme, at=True)
            made = self._made = (self.path, self.lock_file, lock)
        return made[2]

    def _hold(self) -> _holds.Hold | None:
        """What this object holds; otherwise what another of the same name does."""
        place, mine = self._place(), self._mine
        return mine if mine is not None and mine.owned[0] == place else _holds.find(place, self._name())

    def _renew(self) -> None:
        """In a forked child: another process has another name."""
        pid = os.getpid()
        if self.unique_name == self._name_of(self.pid):
            self.unique_name = self._name_of(pid)
            self.pid = pid

    def acquire(self, timeout: float | None = None) -> None:
        if self.pid != os.getpid():
            self._renew()
        if self._mine is not None and self._is_entered():
            return
        guard = self._take(self.timeout if timeout is None else timeout)
        self._mine = _holds.Hold(guard, (self._place(), self.unique_name))

    def _is_entered(self) -> bool:
        """Whether this object holds it already, in this thread. What it has lost is forgotten."""
        hold = self._mine
        if hold is None or hold.owned[0] != self._place() or hold.guard.inherited:
            return False
        if not hold.guard.valid:
            hold.give_up()
            self._mine = None
            return False
        return hold.thread == threading.get_ident()

    def _take(self, timeout: float | None) -> Guard:
        try:
            # A bool will do as a number, as it always did.
            return self._native().acquire(None if timeout is None else +timeout)
        except (AlreadyLocked, LockTimeout) as error:
            self._seen = error._seen
            raise

    def release(self) -> None:
        hold = self._hold()
        if hold is None or not hold.can_be_let_go():
            if not self.is_locked():
                raise NotLocked(f"{self.path} is not locked", path=self.path, lock_file=self.lock_file)
            raise self._not_mine()
        self._mine = None
        hold.forget()
        hold.guard.release()

    def _not_mine(self) -> NotMyLock:
        owner = self._native().owner
        known = "" if owner is None else f" (by pid {owner.pid})"
        message = f"{self.path} is locked, but not by me{known}"
        return NotMyLock(message, path=self.path, lock_file=self.lock_file, owner=owner)

    def is_locked(self) -> bool:
        native = self._native()
        try:
            look = native._look()
        except LockError:
            # What can't be looked at is locked if it is there.
            return os.path.lexists(native.lock_file)
        self._seen = look if look.locked else None
        return look.locked

    def i_am_locking(self) -> bool:
        hold = self._hold()
        return hold is not None and hold.can_be_let_go() and hold.guard.valid

    def break_lock(self) -> None:
        """Removes the lock, whoever holds it.

        If this object has seen it held, by `is_locked` or because it could not acquire it, just that lock is removed:
        of two that time out and break, the second does not break what the first has acquired meanwhile.
        """
        seen, self._seen = self._seen, None
        if seen is None:
            self._native().break_lock()
        else:
            self._native()._break_if(seen)

    def adopt(self) -> None:
        """In a forked child, while its parent lives: makes the child the owner. For daemons.

        lockfile has nothing like it: there, parent and child both pass for the owner.
        """
        hold = self._hold()
        if hold is None:
            raise NotLocked(f"{self.path} is not locked by this object", path=self.path, lock_file=self.lock_file)
        hold.guard.adopt()
        self._renew()
        hold.rename(self._name())

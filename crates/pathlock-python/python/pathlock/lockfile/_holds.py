"""What this process holds through the classes of this package.

A lock of lockfile's belongs to a name, not to an object: it outlives the object that acquired it, and another
object of the same owner may release it. So what is held is kept here, until it is released or the interpreter ends.
"""

from __future__ import annotations

import os
import threading
import weakref

from .._errors import Error, LockError
from .._pathlock import Guard


class Hold:
    """One acquisition: the guard, and who made it."""

    __slots__ = ("guard", "name", "thread", "whose")

    def __init__(self, guard: Guard, name: str, whose: object | None) -> None:
        self.guard = guard
        self.name = name
        self.whose = None if whose is None else weakref.ref(whose)
        self.thread = threading.get_ident()

    def take_for(self, whose: object) -> None:
        """Makes it this object's."""
        self.whose = weakref.ref(whose)

    def is_of(self, whose: object) -> bool:
        return self.whose is not None and self.whose() is whose

    def is_entered_by(self, whose: object) -> bool:
        """Whether this object holds it in this thread, and nobody has broken it."""
        return self.is_of(whose) and self.thread == threading.get_ident() and self.guard.valid

    def can_be_let_go(self) -> bool:
        """Whether it is this process's: also what a dead parent has left it, with the lock file still open."""
        if not self.guard.inherited:
            return True
        if self.guard.owner.alive is not False:
            return False
        try:
            self.guard.adopt()
        except LockError:
            return False
        return True


_held: dict[str, list[Hold]] = {}
_mutex = threading.Lock()


def _fresh_mutex() -> None:
    global _mutex
    _mutex = threading.Lock()


if hasattr(os, "register_at_fork"):
    # In the child the thread that has locked it may not exist.
    os.register_at_fork(after_in_child=_fresh_mutex)


def add(lock_file: str, hold: Hold) -> None:
    with _mutex:
        _held.setdefault(lock_file, []).append(hold)


def find(lock_file: str, name: str, whose: object) -> Hold | None:
    """What this object holds; otherwise what another of the same name does."""
    with _mutex:
        holds = _held.get(lock_file)
        if not holds:
            return None
        for hold in reversed(holds):
            if hold.is_of(whose):
                return hold
        for hold in reversed(holds):
            if hold.name == name:
                return hold
    return None


def remove(lock_file: str, hold: Hold) -> None:
    with _mutex:
        holds = _held.get(lock_file, [])
        if hold in holds:
            holds.remove(hold)
        if not holds:
            _held.pop(lock_file, None)


def give_up(lock_file: str, hold: Hold) -> None:
    """Forgets what somebody has broken."""
    remove(lock_file, hold)
    try:
        hold.guard.release()
    except Error:
        pass  # It is lost, which is known.

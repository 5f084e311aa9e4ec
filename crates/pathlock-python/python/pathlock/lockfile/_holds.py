"""What this process holds through the classes of this package.

A lock of lockfile's belongs to a name, not to an object: it outlives the object that acquired it, and another
object of the same owner may release it. So what is held is kept here, until it is released or the interpreter ends.

Each step is one operation of a dict, so no thread is in another's way, and none in that of a forked child.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING

from .._errors import Error, LockError

if TYPE_CHECKING:
    from .._pathlock import Guard

    Owned = tuple[str, str]
    """A lock file, and the owner's name."""


class Hold:
    """One acquisition: the guard, what is owned by whom, and the thread."""

    __slots__ = ("guard", "owned", "thread")

    def __init__(self, guard: Guard, owned: Owned) -> None:
        self.guard = guard
        self.owned = owned
        self.thread = get_ident()
        _held[owned] = self

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

    def rename(self, name: str) -> None:
        """Gives the owner another name, as it has in a forked child."""
        self.forget()
        self.owned = (self.owned[0], name)
        self.thread = get_ident()
        _held[self.owned] = self

    def forget(self) -> None:
        """Keeps it here no longer."""
        found = _held.pop(self.owned, self)
        if found is not self:
            # The same owner has acquired it again, after this was broken.
            _held.setdefault(self.owned, found)

    def give_up(self) -> None:
        """Forgets what somebody has broken."""
        self.forget()
        try:
            self.guard.release()
        except Error:
            pass  # It is lost, which is known.


_held: dict[Owned, Hold] = {}


def find(lock_file: str, name: str) -> Hold | None:
    """What the owner with this name holds."""
    return _held.get((lock_file, name))

"""What can go wrong, with lockfile's names.

::

    Error
    +-- LockError      LockTimeout, AlreadyLocked, LockFailed
    +-- UnlockError    NotLocked, NotMyLock

They can be pickled, and raised with any message, as lockfile's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._info import Owner
    from ._pathlock import Look


class Error(Exception):
    """Any error of this package. Each attribute is None where it is not known."""

    path: str | None = None
    """What is protected."""
    lock_file: str | None = None
    """The lock file."""
    owner: Owner | None = None
    """Who holds the lock."""
    waited: float | None = None
    """How many seconds were waited."""
    errno: int | None = None
    """The number of the system's error."""
    reason: str | None = None
    """Of `LockFailed`: "os", "cancelled", "interrupted", "would-deadlock", "unsupported", "not-a-lock-file" or "bad-path"."""

    _seen: Look | None = None

    def __init__(self, *args: Any, **known: Any) -> None:
        super().__init__(*args)
        self.__dict__.update(known)

    def __reduce__(self) -> tuple[Any, ...]:
        # What was seen means nothing elsewhere.
        known = {name: value for name, value in self.__dict__.items() if name != "_seen"}
        return type(self), self.args, known


class LockError(Error):
    """A lock was not acquired."""


class LockTimeout(LockError):
    """Somebody else held the lock until the timeout had passed."""


class AlreadyLocked(LockError):
    """Somebody holds the lock, and the caller did not want to wait."""


class LockFailed(LockError):
    """The lock can't be acquired, whoever holds it, or the wait was ended."""


class UnlockError(Error):
    """A lock was not released. Nothing that is another's was removed."""


class NotLocked(UnlockError):
    """There is no lock to release: somebody has broken it, or it was never acquired."""


class NotMyLock(UnlockError):
    """The lock is another's."""

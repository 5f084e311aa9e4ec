"""What is known of a lock: who holds it, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

State = Literal["free", "held", "stale", "unknown"]


@dataclass(frozen=True)
class Owner:
    """Who holds a lock, or waits for one. What is not known is None."""

    pid: int
    """The process id, as seen in its own pid namespace."""
    host: str | None = None
    command: str | None = None
    """What it runs. Control characters are kept: escape them before printing."""
    since: datetime | None = None
    """When it acquired the lock, on its own wall clock. For people: nothing is decided by it."""
    start_time: int | None = None
    """When the process started, in the system's own unit. With the pid it names one process and no other."""
    thread: int | None = None
    """The thread that acquired the lock, as the system numbers it."""
    user: int | None = None
    boot_id: str | None = None
    scheme: str | None = None
    alive: bool | None = None
    """Whether the process ran when it was looked at; None where nothing is proven."""


@dataclass(frozen=True)
class Status:
    """What a look at a lock has shown."""

    state: State
    """"stale": the owner is proven dead, and the next to acquire takes the lock over. "unknown" counts as held."""
    owner: Owner | None
    owners: tuple[Owner, ...]
    """The owner, and the other readers of a shared lock where they can be told."""
    waiters: tuple[Owner, ...]
    """Who waits, where it can be seen."""
    detail: str
    """One clause: how this is known."""
    slots_taken: int = 0

    @property
    def locked(self) -> bool:
        """Whether an acquisition would have to wait."""
        return self.state in ("held", "unknown")


@dataclass(frozen=True)
class WaitEvent:
    """A wait has begun, or the owner that is waited for has changed, or a re-check found the lock still held."""

    path: str
    lock_file: str
    owner: Owner | None
    detail: str
    waited: float
    """For how many seconds so far."""
    deadline_in: float | None
    """In how many seconds the wait ends; None for never."""


def _owner(*, _since: float | None = None, **fields: Any) -> Owner:
    since = None
    if _since is not None:
        try:
            since = datetime.fromtimestamp(_since, timezone.utc)
        except (OverflowError, ValueError, OSError):
            pass  # A record can claim any time.
    return Owner(since=since, **fields)


def _status(*, owners: list[Owner], waiters: list[Owner], **fields: Any) -> Status:
    return Status(owners=tuple(owners), waiters=tuple(waiters), **fields)

"""What the tests of the native API have in common: the schemes, and other threads and processes that use the same lock.

A step of a test begins when it is known that the one before has happened: somebody was told that a wait has begun, or it is
seen from outside that a process sleeps. Nothing is left to how long a step may take.
"""

import contextlib
import os
import threading
import time
from concurrent.futures import Future

import pathlock
import pytest
from children import PATIENCE, Child

SHARED = ["mkdir", "flock", "ofd", "sqlite"]
SLOTS = ["mkdir", "flock", "ofd"]
CONVERTS = ["ofd", "sqlite"]
LEASES = ["link", "symlink", "mkdir", "pid"]
# The others leave the file behind that the kernel's lock, or the table, is in.
VANISHES = ["link", "symlink", "mkdir", "pid"]

each_scheme = pytest.mark.parametrize("scheme", pathlock.SCHEMES)


def one_of(schemes):
    return pytest.mark.parametrize("scheme", schemes)


class Other(Child):
    """Another process that has a lock by the name `lock`."""

    def __init__(self, path=None, **options):
        super().__init__("ours")
        self.ask("import pathlock")
        if path is not None:
            self.lock(path, **options)

    def lock(self, path, **options):
        path = path if isinstance(path, bytes) else str(path)
        self.ask(f"lock = pathlock.Lock({path!r}, **{options!r})")


@contextlib.contextmanager
def held_elsewhere(path, **options):
    """Another process holds the lock; it is told `lock.release()` to let go."""
    with Other(path, **options) as other:
        other.ask("guard = lock.acquire()")
        yield other


def in_thread(task, *arguments):
    """What comes of `task` in another thread: a `Future`."""
    future = Future()

    def run():
        try:
            future.set_result(task(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def done_in_thread(task, *arguments):
    return in_thread(task, *arguments).result(PATIENCE)


class Waiter:
    """A thread that acquires a lock which is held, and keeps it until it is told otherwise."""

    def __init__(self, path, acquire=pathlock.Lock.acquire, **options):
        self.events = []
        self._begun = threading.Event()
        self.lock = pathlock.Lock(path, on_wait=self._told, **options)
        self.outcome = in_thread(acquire, self.lock)
        assert self._begun.wait(PATIENCE), "the wait begins"

    def _told(self, event):
        self.events.append(event)
        self._begun.set()

    def guard(self):
        return self.outcome.result(PATIENCE)


def eventually(look, what):
    """Returns what `look` says once that is true. For what no other process can tell of."""
    deadline = time.monotonic() + PATIENCE
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{what}, but it never does"
        os.sched_yield()
    return seen


def files(directory):
    return sorted(os.listdir(directory))


def seconds(task):
    """How long `task` takes."""
    begun = time.monotonic()
    task()
    return time.monotonic() - begun


def refusal(task, *arguments):
    """The exception of this package that `task` raises."""
    with pytest.raises(pathlock.Error) as caught:
        task(*arguments)
    return caught.value

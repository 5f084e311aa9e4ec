"""One contender in Python as a process: the same lines and answers as `src/actor.rs` has, for Python's packages.

    python actor.py LOCK PATH

A package that has no way to wait is not asked to.
"""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

now = time.monotonic_ns


def maker(name: str, path: str) -> Callable[[], Any]:
    """What makes a lock with `acquire` and `release`, in the cheapest use of its package that waits for ever."""
    package, _, kind = name.partition(" ")
    match package:
        case "pathlock":
            import pathlock

            return lambda: pathlock.Lock(path, scheme=kind)
        case "pathlock.lockfile":
            import importlib

            module = importlib.import_module(f"pathlock.lockfile.{kind.lower()}")
            return lambda: getattr(module, kind)(path)
        case "lockfile":
            import importlib

            module = importlib.import_module(f"lockfile.{kind.lower()}")
            return lambda: getattr(module, kind)(path)
        case "filelock":
            import filelock

            return lambda: filelock.FileLock(path + ".lock")
        case "fasteners":
            import fasteners

            return lambda: fasteners.InterProcessLock(path + ".lock")
        case "portalocker":
            import portalocker

            return lambda: portalocker.Lock(path + ".lock", flags=portalocker.LockFlags.EXCLUSIVE)
        case "zc.lockfile":
            import zc.lockfile

            return lambda: Zc(path + ".lock", zc.lockfile.LockFile)
    raise SystemExit(f"there is no lock called {name}")


class Zc:
    """zc.lockfile's locks are acquired when they are made, and used once."""

    def __init__(self, path: str, make: Callable[[str], Any]) -> None:
        self.path, self.make = path, make

    def acquire(self) -> None:
        self.lock = self.make(self.path)

    def release(self) -> None:
        self.lock.close()


def work(nanoseconds: int) -> None:
    end = now() + nanoseconds
    while now() < end:
        pass


def spent() -> tuple[int, int]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return int((usage.ru_utime + usage.ru_stime) * 1e9), usage.ru_nvcsw + usage.ru_nivcsw


def take_turns(make: Callable[[], Any], milliseconds: int, nanoseconds: int) -> tuple[int, int]:
    end = now() + milliseconds * 1_000_000
    lock, turns, longest = make(), 0, 0
    while (asked := now()) < end:
        lock.acquire()
        longest = max(longest, now() - asked)
        work(nanoseconds)
        lock.release()
        turns += 1
    return turns, longest


def cycles(make: Callable[[], Any], count: int) -> tuple[int, int]:
    """Nanoseconds of so many turns with one object, and with an object for each."""
    lock = make()
    began = now()
    for _ in range(count):
        lock.acquire()
        lock.release()
    reused = now() - began
    began = now()
    for _ in range(count):
        lock = make()
        lock.acquire()
        lock.release()
    return reused, now() - began


def answer(*words: object) -> None:
    print(*words, flush=True)


def main() -> None:
    _, name, path = sys.argv
    make = maker(name, path)
    lock = make()
    answer("ready")
    for line in sys.stdin:
        match line.split():
            case ["turn", nanoseconds]:
                lock.acquire()
                came_in = now()
                work(int(nanoseconds))
                began = now()
                lock.release()
                answer(came_in, began)
            case ["hold"]:
                lock.acquire()
                answer("held")
                sys.stdin.readline()
                began = now()
                lock.release()
                answer(began)
            case ["wait"]:
                before = spent()
                lock.acquire()
                after = spent()
                lock.release()
                answer(after[0] - before[0], after[1] - before[1])
            case ["loop", milliseconds, nanoseconds, threads]:
                results: list[tuple[int, int]] = []
                run = lambda: results.append(take_turns(make, int(milliseconds), int(nanoseconds)))  # noqa: E731
                all_of_them = [threading.Thread(target=run) for _ in range(int(threads))]
                for thread in all_of_them:
                    thread.start()
                for thread in all_of_them:
                    thread.join()
                answer(*(word for result in results for word in result))
            case ["cycles", count]:
                answer(*cycles(make, int(count)))
            case other:
                raise SystemExit(f"{other} is not understood")


if __name__ == "__main__":
    main()

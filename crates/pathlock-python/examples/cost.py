"""What one acquire and release costs in Python on your disk, beside the other packages, in one run.

    python cost.py DIR

Each lock has its turn in every round, so that what disturbs the machine disturbs all of them; the figures are the
medians of the rounds. "reused" goes on with one object, "new" makes one for each turn.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import fasteners
import filelock
import lockfile.linklockfile
import lockfile.mkdirlockfile
import lockfile.pidlockfile
import lockfile.symlinklockfile
import pathlock
import portalocker
import zc.lockfile
from pathlock.lockfile import linklockfile, mkdirlockfile, pidlockfile, symlinklockfile

ROUNDS = 31
TURNS = 200

Turn = Callable[[], object]


def with_object(make: Callable[[], object]) -> tuple[Turn, Turn]:
    """A turn with an object that is kept, and one with a new object."""
    kept = make()

    def reused() -> None:
        kept.acquire()  # type: ignore[attr-defined]
        kept.release()  # type: ignore[attr-defined]

    def new() -> None:
        fresh = make()
        fresh.acquire()  # type: ignore[attr-defined]
        fresh.release()  # type: ignore[attr-defined]

    return reused, new


def contenders(directory: str) -> dict[str, tuple[Turn | None, Turn]]:
    def at(name: str) -> str:
        return os.path.join(directory, name)

    locks: dict[str, tuple[Turn | None, Turn]] = {}
    for scheme in pathlock.SCHEMES:
        locks[f"pathlock {scheme}"] = with_object(
            lambda scheme=scheme: pathlock.Lock(at(f"ours-{scheme}"), scheme=scheme)
        )
    for module, theirs, name in [
        (linklockfile, lockfile.linklockfile, "LinkLockFile"),
        (symlinklockfile, lockfile.symlinklockfile, "SymlinkLockFile"),
        (mkdirlockfile, lockfile.mkdirlockfile, "MkdirLockFile"),
        (pidlockfile, lockfile.pidlockfile, "PIDLockFile"),
    ]:
        for package, one in [("pathlock.lockfile", module), ("lockfile", theirs)]:
            made = getattr(one, name)
            locks[f"{package} {name}"] = with_object(
                lambda made=made, package=package, name=name: made(at(f"{package}-{name}"))
            )
    locks["filelock"] = with_object(lambda: filelock.FileLock(at("filelock")))
    locks["fasteners"] = with_object(lambda: fasteners.InterProcessLock(at("fasteners")))
    locks["portalocker"] = with_object(lambda: portalocker.Lock(at("portalocker")))
    locks["zc.lockfile"] = (None, lambda: zc.lockfile.LockFile(at("zc")).close())
    return locks


def microseconds(turn: Turn) -> float:
    began = time.perf_counter_ns()
    for _ in range(TURNS):
        turn()
    return (time.perf_counter_ns() - began) / TURNS / 1000


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as directory:
        turns = {}
        for name, (reused, new) in contenders(directory).items():
            for how, turn in [("reused", reused), ("new", new)]:
                if turn is not None:
                    turns[name, how] = turn
        costs: dict[tuple[str, str], list[float]] = {key: [] for key in turns}
        for _ in range(ROUNDS):
            for key, turn in turns.items():
                costs[key].append(microseconds(turn))
        medians = {key: statistics.median(cost) for key, cost in costs.items()}
        flock = medians["pathlock flock", "reused"]
        print(f"{'':36} {'':6} {'us':>8}  of pathlock's flock, reused")
        for (name, how), cost in medians.items():
            print(f"{name:36} {how:6} {cost:8.1f}  {cost / flock:6.2f}")
        for name in ["LinkLockFile", "SymlinkLockFile", "MkdirLockFile", "PIDLockFile"]:
            ratios = [
                f"{how} {medians[f'pathlock.lockfile {name}', how] / medians[f'lockfile {name}', how]:.2f}"
                for how in ("reused", "new")
            ]
            print(f"pathlock.lockfile's {name} of lockfile's: {', '.join(ratios)}")


if __name__ == "__main__":
    main()

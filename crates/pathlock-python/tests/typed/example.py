# pyright: strict
"""A program that uses all of the public interface, with a type on everything that has one.

It is type-checked, and run, by `test_types.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import warnings
from datetime import datetime
from pathlib import Path
from typing import Literal

import pathlock
import pathlock.lockfile as lockfile
from pathlock import AsyncLock, Guard, Lock, Owner, Status, WaitEvent
from pathlock.lockfile import FileLock, LockBase, LockFile
from pathlock.lockfile.linklockfile import LinkLockFile
from pathlock.lockfile.mkdirlockfile import MkdirLockFile
from pathlock.lockfile.pidlockfile import (
    PIDLockFile,
    read_pid_from_pidfile,
    remove_existing_pidfile,
    write_pid_to_pidfile,
)
from pathlock.lockfile.sqlitelockfile import SQLiteLockFile
from pathlock.lockfile.symlinklockfile import SymlinkLockFile


def print_event(event: WaitEvent) -> None:
    where: tuple[str, str] = (event.path, event.lock_file)
    owner: Owner | None = event.owner
    times: tuple[float, float | None] = (event.waited, event.deadline_in)
    print(where, owner, event.detail, times)


def print_loss() -> None:
    print("lost")


def every_option() -> Lock:
    return Lock(
        Path("every"),
        scheme="mkdir",
        at=False,
        shared=False,
        timeout=1.5,
        slots=1,
        reentrant=True,
        ownership="process",
        lease=30,
        recover=True,
        mode=0o640,
        command="an example",
        on_wait=print_event,
        on_lost=print_loss,
    )


def every_kind_of_path() -> list[Lock]:
    return [Lock("text"), Lock(b"bytes"), Lock(Path("path"))]


def use_a_lock(lock: Lock) -> None:
    guard: Guard = lock.acquire()
    guard.release()
    lock.acquire(timeout=5)
    lock.release()
    lock.acquire(5.5).release()
    lock.acquire(None).release()
    maybe: Guard | None = lock.try_acquire()
    if maybe is not None:
        maybe.release()
    with lock:
        pass
    with lock as held:
        use_a_guard(held)
    with lock.acquire(timeout=0) as held:
        use_a_guard(held)
    names: tuple[str, str, str] = (lock.path, lock.lock_file, lock.scheme)
    numbers: tuple[float | None, int | None, int | None] = (lock.timeout, lock.token, lock.slot)
    answers: tuple[bool, bool] = (lock.acquired, lock.is_locked())
    print(names, numbers, answers)
    describe(lock.owner)
    describe_status(lock.status())
    broken: bool = lock.break_lock()
    lock.wait_free()
    lock.wait_free(timeout=0.5)
    copy: Lock = pickle.loads(pickle.dumps(lock))
    print(broken, copy)


def use_a_guard(guard: Guard) -> None:
    valid: bool = guard.valid
    until: float | None = guard.valid_until
    mode: Literal["exclusive", "shared"] = guard.mode
    numbers: tuple[int | None, int | None] = (guard.token, guard.slot)
    names: tuple[str, str] = (guard.path, guard.lock_file)
    inherited: bool = guard.inherited
    describe(guard.owner)
    print(valid, until, mode, numbers, names, inherited)


def change_the_mode() -> None:
    with Lock("readers", scheme="ofd", shared=True) as guard:
        guard.upgrade()
        guard.downgrade()


def hand_over() -> None:
    guard = Lock("handed").acquire()
    if os.fork() == 0:
        guard.adopt()
        guard.release()
        os._exit(0)
    os.wait()
    guard.forget()


def describe(owner: Owner | None) -> None:
    if owner is None:
        return
    pid: int = owner.pid
    texts: tuple[str | None, str | None, str | None, str | None] = (
        owner.host,
        owner.command,
        owner.boot_id,
        owner.scheme,
    )
    since: datetime | None = owner.since
    numbers: tuple[int | None, int | None, int | None] = (owner.start_time, owner.thread, owner.user)
    alive: bool | None = owner.alive
    print(pid, texts, since, numbers, alive)


def describe_status(status: Status) -> None:
    state: Literal["free", "held", "stale", "unknown"] = status.state
    locked: bool = status.locked
    everybody: tuple[Owner, ...] = status.owners + status.waiters
    describe(status.owner)
    print(state, locked, everybody, status.detail, status.slots_taken)


def several() -> None:
    stack: contextlib.ExitStack = pathlock.acquire_all([Lock("b"), Lock("a")], timeout=10)
    stack.close()
    with pathlock.acquire_all(Lock(name) for name in ("b", "a")):
        describe_status(pathlock.status(Path("a")))
        describe_status(pathlock.status("a.lock", scheme="link", at=True))


@pathlock.locked("decorated", timeout=5, scheme="flock")
def decorated(number: int, text: str = "") -> str:
    return text * number


@pathlock.locked("decorated-too")
async def decorated_too(number: int) -> int:
    return number + 1


async def asynchronous() -> None:
    lock = AsyncLock("tasks", timeout=5)
    async with lock as guard:
        use_a_guard(guard)
    async with lock.acquire(timeout=5) as guard:
        use_a_guard(guard)
    guard = await lock.acquire()
    lock.release()
    names: tuple[str, str, str] = (lock.path, lock.lock_file, lock.scheme)
    answers: tuple[bool, bool, bool] = (lock.acquired, lock.is_locked(), lock.break_lock())
    token: int | None = lock.token
    describe(lock.owner)
    describe_status(lock.status())
    number: int = await decorated_too(1)
    print(names, answers, token, number)


def errors() -> None:
    lock = Lock("errors")
    with lock:
        try:
            Lock("errors").acquire(timeout=0)
        except (pathlock.AlreadyLocked, pathlock.LockTimeout) as error:
            where: tuple[str | None, str | None] = (error.path, error.lock_file)
            waited: float | None = error.waited
            describe(error.owner)
            print(where, waited)
    try:
        Lock("no/directory/here").acquire()
    except pathlock.LockFailed as error:
        number: int | None = error.errno
        reason: str | None = error.reason
        print(number, reason)
    for unlock_error in (pathlock.NotLocked("text"), pathlock.NotMyLock("text")):
        as_one: pathlock.UnlockError = unlock_error
        print(as_one)
    one_class: list[type[pathlock.Error]] = [lockfile.LockError, lockfile.UnlockError, lockfile.Error]
    print(one_class)


class Remembered(PIDLockFile):
    """A class of one's own, as programs have them."""

    def __init__(self, path: str, acquire_timeout: float | None = None) -> None:
        self.acquire_timeout = acquire_timeout
        super().__init__(path)

    def acquire(self, timeout: float | None = None) -> None:
        super().acquire(self.acquire_timeout if timeout is None else timeout)


class NoLock(LockBase):
    def acquire(self, timeout: float | None = None) -> None:
        pass

    def release(self) -> None:
        pass

    def is_locked(self) -> bool:
        return False

    def i_am_locking(self) -> bool:
        return False

    def break_lock(self) -> None:
        pass


def like_lockfile(lock: LockBase) -> None:
    lock.acquire()
    lock.acquire(timeout=5)
    answers: tuple[bool, bool] = (lock.is_locked(), lock.i_am_locking())
    lock.release()
    with lock:
        pass
    lock.break_lock()
    texts: tuple[str, str, str, str, str] = (lock.path, lock.lock_file, lock.hostname, lock.tname, lock.unique_name)
    pid: int = lock.pid
    lock.timeout = 1.5
    timeout: float | None = lock.timeout
    print(answers, texts, pid, timeout)


@lockfile.locked("decorated-as-ever", timeout=5)
def decorated_as_ever(number: int) -> int:
    return number


def as_lockfile() -> None:
    classes: list[type[LockBase]] = [
        LockFile,
        FileLock,
        LinkLockFile,
        SymlinkLockFile,
        MkdirLockFile,
        PIDLockFile,
        SQLiteLockFile,
    ]
    for number, made in enumerate(classes):
        like_lockfile(made(f"kind-{number}", threaded=True, timeout=5))
    like_lockfile(NoLock("none"))
    like_lockfile(Remembered("remembered", acquire_timeout=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for factory in (lockfile.LinkFileLock, lockfile.MkdirFileLock, lockfile.SQLiteFileLock):
            factory("factory")
    pid_file = PIDLockFile(path="pid-file")
    write_pid_to_pidfile("pid-file")
    pid: int | None = pid_file.read_pid()
    same: int | None = read_pid_from_pidfile("pid-file")
    remove_existing_pidfile("pid-file")
    doubled: int = decorated_as_ever(1) * 2
    print(pid, same, doubled)
    print(SQLiteLockFile("factory").connection.execute("select 1").fetchone())


def main() -> None:
    version: str = pathlock.__version__
    schemes: list[str] = pathlock.SCHEMES
    print(version, schemes)
    for lock in (every_option(), *every_kind_of_path()):
        use_a_lock(lock)
    change_the_mode()
    hand_over()
    several()
    print(decorated(2, text="x"))
    asyncio.run(asynchronous())
    errors()
    as_lockfile()
    pathlock.install_as_lockfile()


if __name__ == "__main__":
    main()

"""Each line with the comment is a mistake that a type checker has to find, and no other line is one."""

from __future__ import annotations

import pathlock
from pathlock.lockfile import LockFile
from pathlock.lockfile.pidlockfile import PIDLockFile, read_pid_from_pidfile

lock = pathlock.Lock("job")
guard = lock.acquire()

pathlock.Lock()  # wrong
pathlock.Lock(7)  # wrong
pathlock.Lock("job", "flock")  # wrong
pathlock.Lock("job", timeout="5")  # wrong
pathlock.Lock("job", slot=2)  # wrong
pathlock.Lock("job", ownership="nobody")  # wrong
pathlock.Lock("job", mode="rw")  # wrong
pathlock.Lock("job", on_wait=lambda: None)  # wrong
pathlock.Lock("job", on_lost=lambda event: None)  # wrong
lock.acquire(timeout="5")  # wrong
lock.path = "other"  # wrong
lock.timeout = 5  # wrong
lock.no_such_method()  # wrong
lock.try_acquire().release()  # wrong
print(lock.owner.pid)  # wrong
guard.release(timeout=5)  # wrong
guard.valid = True  # wrong
text: str = guard.mode == "shared"  # wrong
number: int = guard.valid_until  # wrong
owner = guard.owner
owner.pid = 1  # wrong
state: int = pathlock.status("job").state  # wrong
pathlock.status("job", at="yes")  # wrong
pathlock.acquire_all(["a", "b"])  # wrong


class OwnLock(pathlock.Lock):  # wrong
    pass


@pathlock.locked("job")
def double(number: int) -> int:
    return 2 * number


double("two")  # wrong
pathlock.locked()  # wrong
asynchronous = pathlock.AsyncLock("job")
with asynchronous:  # wrong
    pass

LockFile("job", timeout="5")  # wrong
LockFile("job").acquire(timeout="5")  # wrong
LockFile("job").no_such_method()  # wrong
pid: int = PIDLockFile("job.pid").read_pid()  # wrong
read_pid_from_pidfile()  # wrong


async def coroutine() -> None:
    held: str = await asynchronous.acquire()  # wrong
    print(held)
    async with asynchronous as guard:
        guard.no_such_method()  # wrong

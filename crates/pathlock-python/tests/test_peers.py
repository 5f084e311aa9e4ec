"""Other libraries' locks and ours: which exclude each other, and what else `docs/python.md` says of the others.

Each of two processes has its library, and takes the lock of one file when it is told to. Whoever comes second is refused.
"""

import fcntl
import inspect
import os
import re
from dataclasses import dataclass
from pathlib import Path

import fasteners
import filelock
import portalocker
import pytest
import zc.lockfile

import pathlock
from children import PATIENCE, Child, until_asleep

PAGE = Path(__file__).resolve().parents[3] / "docs" / "python.md"


@dataclass
class Peer:
    """A lock of another library: `take` raises if it can't have it at once."""

    name: str
    before: str
    take: str
    release: str
    scheme: str
    path: str = "job.lock"
    at: bool = True
    shared: bool = False

    def __str__(self):
        return self.name

    def ours(self, place):
        path = str(place / self.path)
        return f"pathlock.Lock({path!r}, scheme={self.scheme!r}, at={self.at}, shared={self.shared})"

    def child(self, place):
        path = str(place / self.path)
        child = Child("theirs")
        child.ask(f"path = {path!r}")
        child.ask(self.before)
        return child


def classes_of_lockfile(kind, scheme):
    module, _, name = kind.rpartition(".")
    return Peer(
        f"lockfile: {scheme}",
        f"import {module}; lock = {kind}(path)",
        "lock.acquire(timeout=0)",
        "lock.release()",
        scheme,
        path="job",
        at=False,
    )


PEERS = [
    classes_of_lockfile("lockfile.linklockfile.LinkLockFile", "link"),
    classes_of_lockfile("lockfile.symlinklockfile.SymlinkLockFile", "symlink"),
    classes_of_lockfile("lockfile.mkdirlockfile.MkdirLockFile", "mkdir"),
    classes_of_lockfile("lockfile.pidlockfile.PIDLockFile", "pid"),
    Peer(
        "filelock: FileLock",
        "import filelock; lock = filelock.FileLock(path)",
        "lock.acquire(timeout=0)",
        "lock.release()",
        "flock",
    ),
    Peer(
        "filelock: SoftFileLock",
        "import filelock; lock = filelock.SoftFileLock(path)",
        "lock.acquire(timeout=0)",
        "lock.release()",
        "link",
    ),
    Peer(
        "fasteners: InterProcessLock",
        "import fasteners; lock = fasteners.InterProcessLock(path)",
        "assert lock.acquire(blocking=False)",
        "lock.release()",
        "ofd",
    ),
    Peer(
        "fasteners: InterProcessReaderWriterLock",
        "import fasteners; lock = fasteners.InterProcessReaderWriterLock(path)",
        "assert lock.acquire_write_lock(blocking=False)",
        "lock.release_write_lock()",
        "ofd",
    ),
    Peer(
        "fasteners: InterProcessReaderWriterLock, a writer and our reader",
        "import fasteners; lock = fasteners.InterProcessReaderWriterLock(path)",
        "assert lock.acquire_write_lock(blocking=False)",
        "lock.release_write_lock()",
        "ofd",
        shared=True,
    ),
    Peer(
        "fasteners: InterProcessReaderWriterLock, a reader and our writer",
        "import fasteners; lock = fasteners.InterProcessReaderWriterLock(path)",
        "assert lock.acquire_read_lock(blocking=False)",
        "lock.release_read_lock()",
        "ofd",
    ),
    *(
        Peer(
            f"portalocker: {name}",
            f"import portalocker; lock = portalocker.{name}(path, fail_when_locked=True)",
            "lock.acquire()",
            "lock.release()",
            "flock",
        )
        for name in ("Lock", "RLock", "TemporaryFileLock")
    ),
    Peer(
        "portalocker: Lock, a reader and our writer",
        "import portalocker; shared = portalocker.LOCK_SH | portalocker.LOCK_NB\n"
        "lock = portalocker.Lock(path, fail_when_locked=True, flags=shared)",
        "lock.acquire()",
        "lock.release()",
        "flock",
    ),
    Peer(
        "portalocker: PidFileLock",
        "import portalocker; lock = portalocker.PidFileLock(path)",
        "lock.acquire()",
        "lock.release()",
        "flock",
        path="job.pid",
        at=False,
    ),
    *(
        Peer(f"zc.lockfile: {name}", "import zc.lockfile", f"lock = zc.lockfile.{name}(path)", "lock.close()", "flock")
        for name in ("LockFile", "SimpleLockFile")
    ),
    Peer(
        "fcntl.flock",
        "import fcntl",
        "file = open(path, 'a'); fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "file.close()",
        "flock",
    ),
    Peer(
        "flock(1)",
        "import subprocess",
        "command = subprocess.Popen(['flock', '-n', path, 'sh', '-c', 'echo; read x'], stdin=-1, stdout=-1)\n"
        "assert command.stdout.readline()",
        "command.communicate()",
        "flock",
    ),
    Peer(
        "fcntl.lockf",
        "import fcntl",
        "file = open(path, 'a'); fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "file.close()",
        "ofd",
    ),
]

every_peer = pytest.mark.parametrize("peer", PEERS, ids=str)


@pytest.fixture
def pair(peer, tmp_path):
    with Child("ours") as ours, peer.child(tmp_path) as theirs:
        ours.ask("import pathlock")
        ours.ask(f"lock = {peer.ours(tmp_path)}")
        yield ours, theirs


@every_peer
def test_what_theirs_holds_is_refused_to_ours(peer, pair):
    ours, theirs = pair
    theirs.ask(peer.take)
    assert ours.ask("lock.is_locked()") is True, "ours sees that it is held"
    assert ours.refusal("lock.acquire(timeout=0)") == "AlreadyLocked", "ours is refused"
    assert ours.refusal("lock.acquire(timeout=0.02)") == "LockTimeout", "and when it waits, too"
    theirs.ask(peer.release)
    assert ours.ask("lock.is_locked()") is False, "now it is free"
    ours.ask("lock.acquire(timeout=0)")


@every_peer
def test_what_ours_holds_is_refused_to_theirs(peer, pair):
    ours, theirs = pair
    ours.ask("guard = lock.acquire(timeout=0)")
    assert theirs.refusal(peer.take) is not None, "theirs is refused"
    assert ours.ask("guard.valid") is True, "ours still holds it"
    ours.ask("guard.release()")
    theirs.ask(peer.take)
    assert ours.refusal("lock.acquire(timeout=0)") == "AlreadyLocked", "now it is theirs"
    theirs.ask(peer.release)


@every_peer
def test_ours_waits_for_theirs(peer, pair):
    ours, theirs = pair
    theirs.ask(peer.take)
    ours.tell(f"lock.acquire(timeout={PATIENCE}).valid")
    until_asleep(ours.pid)
    theirs.ask(peer.release)
    assert ours.answer() is True, "ours has it after the release"


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.scheme in ("flock", "ofd")], ids=str)
def test_a_kernel_lock_of_theirs_comes_free_when_its_holder_is_killed(peer, pair):
    ours, theirs = pair
    theirs.ask(peer.take)
    if peer.name == "flock(1)":
        theirs.ask(peer.release)
    theirs.kill()
    assert ours.ask(f"lock.acquire(timeout={PATIENCE}).valid") is True, "ours has it at once"


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.name == "filelock: SoftFileLock"], ids=str)
def test_neither_takes_over_what_the_other_has_left_behind_without_a_kernel_lock(peer, pair):
    ours, theirs = pair
    theirs.ask(peer.take)
    theirs.kill()
    assert ours.ask("lock.status().state") == "unknown", "nothing proves that their holder is dead"
    assert ours.refusal("lock.acquire(timeout=0)") == "AlreadyLocked", "so it counts as held"
    ours.ask("lock.break_lock()")
    ours.ask("lock.acquire(timeout=0)")
    ours.kill()
    with peer.child(Path(theirs_place(peer, pair))) as next_one:
        assert next_one.refusal(peer.take) == "Timeout", "theirs does not take over ours"


def theirs_place(peer, pair):
    return os.path.dirname(os.path.abspath(peer.path))

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
import pathlock
import portalocker
import pytest
import zc.lockfile
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
    module = kind.rpartition(".")[0]
    return Peer(
        "lockfile: PIDLockFile" if scheme == "pid" else f"lockfile: {scheme}",
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


# Not flock(1): the command that it runs keeps the lock.
KERNEL_LOCKS = [peer for peer in PEERS if peer.scheme in ("flock", "ofd") and peer.name != "flock(1)"]


@pytest.mark.parametrize("peer", KERNEL_LOCKS, ids=str)
def test_a_kernel_lock_of_theirs_comes_free_when_its_holder_is_killed(peer, pair):
    ours, theirs = pair
    theirs.ask(peer.take)
    theirs.kill()
    assert ours.ask(f"lock.acquire(timeout={PATIENCE}).valid") is True, "ours has it at once"


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.name == "filelock: SoftFileLock"], ids=str)
def test_neither_takes_over_a_soft_lock_that_the_other_has_left_behind(peer, pair, tmp_path):
    ours, theirs = pair
    theirs.ask(peer.take)
    theirs.kill()
    assert ours.ask("lock.status().state") == "unknown", "nothing proves that their holder is dead"
    assert ours.refusal("lock.acquire(timeout=0)") == "AlreadyLocked", "so it counts as held"
    ours.ask("lock.break_lock()")
    ours.ask("lock.acquire(timeout=0)")
    ours.kill()
    with peer.child(tmp_path) as another:
        assert another.refusal(peer.take) == "Timeout", "theirs does not take over ours"


def test_readers_of_portalocker_and_ours_hold_the_lock_together(tmp_path):
    path = str(tmp_path / "job.lock")
    reader = pathlock.Lock(path, scheme="flock", at=True, shared=True)
    with Child("theirs") as theirs:
        theirs.ask("import portalocker; shared = portalocker.LOCK_SH | portalocker.LOCK_NB")
        theirs.ask(f"lock = portalocker.Lock({path!r}, flags=shared)")
        theirs.ask("lock.acquire(timeout=0)")
        with reader.acquire(timeout=0) as guard:
            assert guard.mode == "shared", "ours comes in beside theirs"
            theirs.ask("lock.release()")
            theirs.ask("lock.acquire(timeout=0)")


def test_a_reader_of_fasteners_comes_in_beside_ours_and_ours_waits_for_theirs(tmp_path):
    path = str(tmp_path / "job.lock")
    reader = pathlock.Lock(path, scheme="ofd", at=True, shared=True)
    with Child("theirs") as theirs:
        theirs.ask(f"import fasteners; lock = fasteners.InterProcessReaderWriterLock({path!r})")
        with reader:
            assert theirs.ask("lock.acquire_read_lock(blocking=False)") is True, "theirs comes in"
        with pytest.raises(pathlock.AlreadyLocked):
            reader.acquire(timeout=0)
        theirs.ask("lock.release_read_lock()")
        reader.acquire(timeout=0).release()


def test_flock_and_fcntl_know_nothing_of_each_other(tmp_path):
    path = str(tmp_path / "job.lock")
    with Child("theirs") as theirs:
        theirs.ask(f"import filelock; lock = filelock.FileLock({path!r})")
        theirs.ask("lock.acquire(timeout=0)")
        with pathlock.Lock(path, scheme="ofd", at=True).acquire(timeout=0) as guard:
            assert guard.valid, "both have it: it takes the scheme that the page names"


def test_the_page_says_of_each_of_them_which_scheme_it_shares():
    section = PAGE.read_text().partition("## Who excludes whom")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*) \| (.*) \|$", section, re.MULTILINE)
    for peer in PEERS:
        library, _, names = peer.name.partition(": ")
        named = names.partition(",")[0] or library
        said = [second for first, second in rows if library in first and named in first]
        assert any(f"`{peer.scheme}`" in second for second in said), f"what the page says of {peer}: {said}"


# What the tables say of the others


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_filelock_waits_for_ever_with_a_timeout_of_minus_one(here):
    asked = []

    def enough():
        asked.append(True)
        return len(asked) == 3

    holder, waiter = (
        filelock.FileLock("job.lock", thread_local=False),
        filelock.FileLock("job.lock", is_singleton=False),
    )
    with Child("theirs") as theirs:
        theirs.ask(f"import filelock; lock = filelock.FileLock({os.path.abspath('job.lock')!r}); lock.acquire()")
        with pytest.raises(filelock.Timeout):
            waiter.acquire(timeout=-1, poll_interval=0.001, cancel_check=enough)
        assert len(asked) == 3, "it tried again until it was cancelled"
        lock = pathlock.Lock("job.lock", scheme="flock", at=True)
        with pytest.raises(pathlock.AlreadyLocked):
            lock.acquire(timeout=-1)
    assert not holder.is_locked, "nobody has used it"


def test_filelocks_lock_counts_and_speaks_of_itself(here):
    lock, other = filelock.FileLock("job.lock"), filelock.FileLock("job.lock")
    with lock, lock:
        assert lock.lock_counter == 2, "it may be entered again"
        assert lock.is_locked and not other.is_locked, "`is_locked` is about the object"
    assert issubclass(filelock.Timeout, OSError), "its exception is an OSError"
    assert not issubclass(pathlock.Error, OSError), "ours is none"


@pytest.mark.parametrize(
    ("function", "parameter", "value"),
    [
        (filelock.FileLock, "poll_interval", 0.05),
        (filelock.FileLock, "timeout", -1),
        (portalocker.Lock, "check_interval", 0.25),
        (fasteners.InterProcessLock.acquire, "delay", 0.01),
        (fasteners.InterProcessLock.acquire, "max_delay", 0.1),
    ],
)
def test_the_others_poll_as_often_as_the_page_says(function, parameter, value):
    assert inspect.signature(function).parameters[parameter].default == value, f"the default of {parameter}"


def test_fasteners_gives_one_lock_to_two_objects_of_a_process(here):
    first, second = fasteners.InterProcessLock("job.lock"), fasteners.InterProcessLock("job.lock")
    assert first.acquire(blocking=False) and second.acquire(blocking=False), "the process has it, and so have both"
    second.release()
    with Child("theirs") as theirs:
        theirs.ask(f"import fasteners; lock = fasteners.InterProcessLock({os.path.abspath('job.lock')!r})")
        assert theirs.ask("lock.acquire(blocking=False)") is True, "closing one file has let the other's lock go"


def test_fasteners_returns_false_at_the_timeout_and_makes_directories(here):
    lock = fasteners.InterProcessLock("new/dir/job.lock")
    assert lock.acquire(), "it has made the directory"
    with Child("theirs") as theirs:
        theirs.ask(f"import fasteners; lock = fasteners.InterProcessLock({os.path.abspath('new/dir/job.lock')!r})")
        assert theirs.ask("lock.acquire(timeout=0.02)") is False, "no exception"
    with pytest.raises(pathlock.LockFailed):
        pathlock.Lock("other/dir/job").acquire()
    lock.release()
    assert lock.exists(), "its file is there though it is free"


def test_portalocker_waits_for_five_seconds_unless_it_is_told_otherwise():
    assert portalocker.Lock("data").timeout == 5, "their default"
    assert pathlock.Lock("data").timeout is None, "ours: for ever"


def test_portalockers_pid_file_runs_the_block_though_it_is_busy(here):
    with Child("theirs") as theirs:
        theirs.ask(
            f"import portalocker; lock = portalocker.PidFileLock({os.path.abspath('job.pid')!r}); lock.acquire()"
        )
        with portalocker.PidFileLock("job.pid") as holder:
            assert holder == theirs.pid, "the block has the holder's pid, and no lock"
    with portalocker.PidFileLock("job.pid") as holder:
        assert holder is None, "nobody else holds it"


def test_zc_lockfile_takes_the_lock_where_it_is_made_and_never_waits(here):
    lock = zc.lockfile.LockFile("job.lock")
    with pytest.raises(zc.lockfile.LockError):
        zc.lockfile.LockFile("job.lock")
    lock.close()
    assert not hasattr(lock, "__enter__"), "it is no context manager"
    assert Path("job.lock").read_text() == f" {os.getpid()}\n", "the file stays, with the pid in it"


def test_what_zc_lockfile_has_written_stays_and_is_taken_for_the_owner(here):
    with Child("theirs") as theirs:
        theirs.ask(f"import zc.lockfile; zc.lockfile.LockFile({os.path.abspath('job.lock')!r}).close()")
        written = Path("job.lock").read_text()
        with pathlock.Lock("job.lock", scheme="flock", at=True) as guard:
            assert guard.valid, "the lock is ours"
            assert Path("job.lock").read_text() == written, "the file is not ours to write"
            owner = pathlock.status("job.lock", scheme="flock", at=True).owner
            assert owner.pid == theirs.pid, "the page says that this may be a former holder"


def test_a_file_that_the_caller_has_named_and_that_is_there_keeps_its_content(here):
    for scheme in ("flock", "ofd"):
        data = Path(f"data-{scheme}")
        data.touch()
        for times in (1, 2):
            with pathlock.Lock(data, scheme=scheme, at=True), open(data, "a") as file:
                file.write("words")
            assert data.read_text() == "words" * times, "nothing but what was written is in it"


def test_the_kernels_locks_are_what_the_page_says_they_are(here):
    with open("job.lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert pathlock.status("job.lock", scheme="flock", at=True).locked, "`flock(2)` is scheme flock"
        assert not pathlock.status("job.lock", scheme="ofd", at=True).locked, "and not ofd"

"""Who holds a lock of `pathlock.lockfile`, in which thread and process, and what is on disk meanwhile."""

import errno
import gc
import os
import sqlite3
import stat
import threading
from unittest import mock

import pytest
from children import CLASSES, PATIENCE, Child, class_of
from pathlock import lockfile
from pathlock.lockfile import pidlockfile
from pathlock.lockfile.pidlockfile import PIDLockFile
from pathlock.lockfile.sqlitelockfile import SQLiteLockFile

every_kind = pytest.mark.parametrize("kind", CLASSES)
every_kind_beside_its_path = pytest.mark.parametrize("kind", ["link", "symlink", "mkdir"])
every_kind_on_disk = pytest.mark.parametrize("kind", ["link", "symlink", "mkdir", "pid"])


def in_thread(function):
    """What `function` returns in another thread, or the exception that it raises there."""
    outcome = []

    def body():
        try:
            outcome.append(function())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert outcome, "the other thread hangs"
    return outcome[0]


# Owners


@every_kind
def test_the_owner_may_enter_again_and_one_release_frees(kind, path):
    lock = class_of(lockfile, kind)(path)
    lock.acquire()
    lock.acquire()
    lock.acquire(timeout=-1)
    assert lock.i_am_locking(), "it is held"
    lock.release()
    assert not lock.is_locked(), "nobody counts"
    with pytest.raises(lockfile.NotLocked):
        lock.release()


@every_kind
def test_another_object_of_the_owner_may_release(kind, path):
    cls = class_of(lockfile, kind)
    lock, other = cls(path), cls(path)
    lock.acquire()
    assert other.is_locked() and other.i_am_locking(), "the owner is the same"
    other.release()
    assert not lock.is_locked() and not lock.i_am_locking(), "it is free"
    with pytest.raises(lockfile.NotLocked):
        lock.release()


@every_kind
def test_another_object_of_the_owner_is_not_let_in(kind, path):
    cls = class_of(lockfile, kind)
    lock, other = cls(path), cls(path)
    with lock:
        for timeout in [-1, 0]:
            with pytest.raises(lockfile.AlreadyLocked):
                other.acquire(timeout=timeout)
        for timeout in [PATIENCE] if kind == "pid" else [None, PATIENCE]:
            with pytest.raises(lockfile.LockFailed) as failed:
                other.acquire(timeout=timeout)
            assert failed.value.reason == "would-deadlock", "a thread that waits for itself waits for ever"
        assert lock.i_am_locking(), "the first has it all the while"


@every_kind
def test_after_a_break_the_old_holder_has_nothing_to_release(kind, path):
    cls = class_of(lockfile, kind)
    lock = cls(path)
    lock.acquire()
    cls(path).break_lock()
    assert not lock.is_locked() and not lock.i_am_locking(), "it is free"
    with pytest.raises(lockfile.NotLocked):
        lock.release()
    lock.break_lock()
    with lock:
        assert lock.i_am_locking(), "it can be acquired again"


@every_kind
@pytest.mark.parametrize("threaded", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_another_thread_is_not_let_in(kind, threaded, shared, path):
    cls = class_of(lockfile, kind)
    lock = cls(path, threaded=threaded)
    with lock:
        other = lock if shared else in_thread(lambda: cls(path, threaded=threaded))
        for timeout, refusal in [(-1, "AlreadyLocked"), (0, "AlreadyLocked"), (0.05, "LockTimeout")]:
            told = in_thread(lambda: other.acquire(timeout=timeout))
            assert type(told).__name__ == refusal, f"a timeout of {timeout}: {told!r}"
        assert lock.i_am_locking(), "the first has it all the while"
    assert in_thread(lambda: other.acquire(timeout=-1)) is None, "now it is free"
    in_thread(other.break_lock)


@every_kind_beside_its_path
@pytest.mark.parametrize("shared", [True, False])
def test_another_thread_waits_until_the_release(kind, shared, path):
    cls = class_of(lockfile, kind)
    lock = cls(path)
    begins, released = threading.Event(), threading.Event()

    def wait():
        other = lock if shared else cls(path)
        begins.set()
        other.acquire()
        was_free = released.is_set()
        other.release()
        return was_free

    lock.acquire()
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(wait()), daemon=True)
    thread.start()
    assert begins.wait(PATIENCE), "the other thread runs"
    released.set()
    lock.release()
    thread.join(PATIENCE)
    assert outcome == [True], "it is let in, and not before the release"
    assert not lock.is_locked(), "both are through"


@every_kind
def test_without_threads_the_process_is_the_owner(kind, path):
    cls = class_of(lockfile, kind)
    lock = in_thread(lambda: cls(path, threaded=False))
    assert in_thread(lock.acquire) is None, "it is free"
    other = cls(path, threaded=False)
    assert other.i_am_locking(), "whichever thread has acquired it"
    other.release()
    assert not lock.is_locked(), "and whichever releases it"


# Processes


@every_kind
def test_a_forked_child_holds_nothing_of_its_parents(kind, path):
    with Child() as child:
        child.make(kind, path)
        child.ask("lock.acquire()")
        parents = child.ask("lock.unique_name")
        assert child.ask("forked('lock.is_locked()')") == {"value": True}, "it is the parent's"
        assert child.ask("forked('lock.i_am_locking()')") == {"value": False}, "not the child's"
        for code, refusal in [
            ("lock.release()", "NotMyLock"),
            ("lock.acquire(timeout=-1)", "AlreadyLocked"),
            ("lock.acquire(timeout=0.05)", "LockTimeout"),
        ]:
            assert child.ask(f"forked({code!r})").get("raised") == refusal, f"`{code}` in the child"
        assert child.ask("lock.i_am_locking()") is True, "the children's ends have not cost the parent its lock"
        assert child.ask("lock.unique_name") == parents, "nor its name"

        child.ask("lock.release()")
        code = "(lock.acquire(timeout=-1), lock.i_am_locking(), lock.unique_name, lock.release())"
        _, holds, childs, _ = child.ask(f"forked({code!r})")["value"]
        assert holds is True, "what is free is anybody's"
        assert (childs == parents) is (kind == "pid"), "and the child's by a name of its own; a pid lock has none"
        assert child.ask("lock.is_locked()") is False, "and comes back free"


@every_kind
def test_making_an_object_opens_nothing_and_touches_nothing(kind, path, tmp_path):
    cls = class_of(lockfile, kind)
    gc.collect()
    before = set(os.listdir("/proc/self/fd"))
    lock = cls(path)
    assert set(os.listdir("/proc/self/fd")) <= before, "no file is open"
    assert os.listdir(tmp_path) == [], "none is made"
    assert not lock.is_locked() and not lock.i_am_locking(), "it can be asked all the same"
    assert os.listdir(tmp_path) == [], "asking makes none either"


@every_kind_on_disk
def test_a_holder_may_close_all_its_files(kind, path, tmp_path):
    lock = class_of(lockfile, kind)(path)
    with Child() as child:
        child.make(kind, path)
        child.ask("lock.acquire()")
        child.ask("os.closerange(3, 4096)")
        assert child.ask("lock.i_am_locking()") is True, "it still holds"
        with pytest.raises(lockfile.AlreadyLocked):
            lock.acquire(timeout=-1)
        child.ask("lock.release()")
        assert os.listdir(tmp_path) == [], "and releases as ever"
        child.ask("lock.acquire(timeout=-1)")
        child.ask("lock.release()")


# On disk


@every_kind_on_disk
def test_on_disk_there_is_the_lock_and_nothing_else(kind, path, tmp_path):
    lock = class_of(lockfile, kind)(path)
    lock.acquire()
    assert os.listdir(tmp_path) == ["job" if kind == "pid" else "job.lock"], "one name"
    place = path if kind == "pid" else lock.lock_file
    if kind == "symlink":
        assert os.path.islink(place) and not os.path.exists(place), "it is a link that leads nowhere"
    elif kind == "mkdir":
        (owner,) = os.listdir(place)
        assert owner.startswith(f"{lock.hostname}.") and owner.endswith(str(lock.pid)), "a file in it names the owner"
    else:
        assert stat.S_ISREG(os.lstat(place).st_mode), "it is a file"
    lock.release()
    assert os.listdir(tmp_path) == [], "it is gone"


@every_kind
def test_a_lock_in_a_missing_directory_fails_and_says_why(kind, tmp_path):
    lock = class_of(lockfile, kind)(str(tmp_path / "missing" / "job"))
    for timeout in [-1, None]:
        with pytest.raises(lockfile.LockFailed) as failed:
            lock.acquire(timeout=timeout)
        assert failed.value.path == lock.path, "which lock it is"
        assert failed.value.reason == "os", "the system said no"
        if kind != "sqlite":
            assert failed.value.errno == errno.ENOENT, "and why"


def test_a_refusal_names_the_holder(path):
    with Child() as child:
        child.make("link", path)
        child.ask("lock.acquire()")
        with pytest.raises(lockfile.AlreadyLocked) as refused:
            lockfile.LockFile(path).acquire(timeout=-1)
        assert refused.value.path == path, "which lock it is"
        assert refused.value.owner.pid == child.pid, "and who has it"


def test_an_sqlite_lock_is_in_a_database_beside_the_path_and_excludes_processes(path, tmp_path, monkeypatch):
    lock = SQLiteLockFile(path)
    with Child() as child:
        child.make("sqlite", path)
        child.ask("lock.acquire()")
        assert (tmp_path / "job.lock.db").read_bytes().startswith(b"SQLite format 3\0"), "everybody finds it"
        assert lock.is_locked() and not lock.i_am_locking(), "it is another's"
        with pytest.raises(lockfile.AlreadyLocked):
            lock.acquire(timeout=-1)
    assert isinstance(lock.connection, sqlite3.Connection), "programs read it themselves"
    assert in_thread(lambda: lock.connection.execute("select 1").fetchone()) == (1,), "in any thread"
    monkeypatch.setattr(SQLiteLockFile, "testdb", str(tmp_path / "own.db"))
    with SQLiteLockFile(str(tmp_path / "other")):
        assert (tmp_path / "own.db").exists(), "a program may choose the database"
        assert not (tmp_path / "other.lock.db").exists(), "and then there is no other"


# Pid files


@pytest.mark.parametrize("umask, mode", [(0o000, 0o644), (0o022, 0o644), (0o077, 0o600)])
def test_a_pid_file_has_the_pid_on_its_first_line_and_heeds_the_umask(umask, mode, path):
    old = os.umask(umask)
    try:
        with PIDLockFile(path):
            with open(path, "rb") as file:
                assert file.readline() == b"%d\n" % os.getpid(), "the pid, decimal, and nothing else"
            assert stat.S_IMODE(os.stat(path).st_mode) == mode, "as programs expect it"
            assert pidlockfile.read_pid_from_pidfile(path) == os.getpid(), "and read it"
    finally:
        os.umask(old)
    assert not os.path.lexists(path), "it is gone"


def test_a_pid_lock_without_a_timeout_does_not_wait(path, another_program):
    another_program("pid", path)
    for timeout in [None, -1, 0]:
        with pytest.raises(lockfile.AlreadyLocked):
            PIDLockFile(path).acquire(timeout)
    assert pidlockfile.read_pid_from_pidfile(path) == os.getppid(), "it is still the other's"


@pytest.mark.parametrize(
    "content, pid",
    [
        (b"4711\n", 4711),
        (b"4711", 4711),
        (b"  0004711 \n", 4711),
        (b"4711\nstarted by hand\n", 4711),
        (b"2147483647\n", 2147483647),
        (b"2147483648\n", None),
        (b"99999999999999999999\n", None),
        (b"0\n", None),
        (b"-1\n", None),
        (b"+1\n", None),
        (b"1_000\n", None),
        (b"0x10\n", None),
        (b"1 2\n", None),
        ("４２\n".encode(), None),
        (b"\xff\xfe\n", None),
        (b"\n4711\n", None),
        (b"", None),
    ],
)
def test_only_what_is_a_pid_is_read_as_one(content, pid, path):
    with open(path, "wb") as file:
        file.write(content)
    assert pidlockfile.read_pid_from_pidfile(path) == pid, "by the function"
    assert PIDLockFile(path).read_pid() == pid, "and by the method"


def test_a_pid_file_that_cannot_be_read_has_no_pid(tmp_path):
    assert pidlockfile.read_pid_from_pidfile(str(tmp_path / "missing")) is None, "there is none"
    assert pidlockfile.read_pid_from_pidfile(str(tmp_path)) is None, "it is no file"


def test_the_functions_make_and_remove_a_pid_file_by_themselves(path):
    pidlockfile.write_pid_to_pidfile(path)
    assert pidlockfile.read_pid_from_pidfile(path) == os.getpid(), "it is written"
    assert PIDLockFile(path).i_am_locking(), "and is a lock"
    with pytest.raises(OSError) as there:
        pidlockfile.write_pid_to_pidfile(path)
    assert there.value.errno == errno.EEXIST, "it is there already"
    with Child() as child:
        child.make("pid", path)
        assert child.refusal("lock.acquire()") == "AlreadyLocked", "it locks others out"
    pidlockfile.remove_existing_pidfile(path)
    assert not os.path.lexists(path), "it is removed"
    pidlockfile.remove_existing_pidfile(path)


def test_a_pid_lock_calls_the_functions_of_its_module(path):
    lock = PIDLockFile(path)
    with mock.patch.object(pidlockfile, "write_pid_to_pidfile") as write:
        lock.acquire()
        write.assert_called_once_with(path)
        write.side_effect = FileExistsError(errno.EEXIST, "there")
        with pytest.raises(lockfile.AlreadyLocked):
            lock.acquire()
        write.side_effect = PermissionError(errno.EACCES, "denied")
        with pytest.raises(lockfile.LockFailed):
            lock.acquire()
    assert not os.path.lexists(path), "they alone write"

    lock.acquire()
    with mock.patch.object(pidlockfile, "read_pid_from_pidfile", return_value=4711) as read:
        assert lock.read_pid() == 4711, "they alone read"
        read.assert_called_once_with(path)
        assert not lock.i_am_locking(), "the pid that is read is not ours"
    with mock.patch.object(pidlockfile, "remove_existing_pidfile") as remove:
        lock.break_lock()
        remove.assert_called_once_with(path)
        lock.release()
        assert remove.call_args_list == [mock.call(path)] * 2, "they alone remove"
    pidlockfile.remove_existing_pidfile(path)
    assert not lock.is_locked(), "it is removed"


def test_a_pid_lock_asks_for_the_pid_at_each_call(path):
    lock = PIDLockFile(path)
    lock.acquire()
    with mock.patch.object(os, "getpid", return_value=os.getpid() + 1):
        assert not lock.i_am_locking(), "this would be another process"
        with pytest.raises(lockfile.NotMyLock):
            lock.release()
    assert lock.i_am_locking(), "this is the one that has it"
    lock.release()

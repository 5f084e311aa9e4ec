"""Programs that depend on `lockfile`, each by the shape of its use.

The classes and functions here do what those programs do with the package; what else they do is left out.
"""

import io
import os
import signal

import pathlock.lockfile as lockfile
import psutil
import pytest
from children import PATIENCE, Child
from pathlock.lockfile import AlreadyLocked, FileLock, LockBase, LockFailed, LockFile, LockTimeout, pidlockfile
from pathlock.lockfile.linklockfile import LinkLockFile
from pathlock.lockfile.mkdirlockfile import MkdirLockFile
from pathlock.lockfile.pidlockfile import PIDLockFile, read_pid_from_pidfile, remove_existing_pidfile

# Above the kernel's limit: no process has it, and none will.
NOBODYS_PID = 99_999_999


@pytest.fixture
def holder(path):
    """Another process, which has the pid lock."""
    with Child() as child:
        child.make("pid", path)
        child.ask("lock.acquire()")
        yield child


def left_by(pid, path):
    """A pid file as a program that is no user of this library leaves it."""
    with open(path, "w") as file:
        file.write(f"{pid}\n")


class TimeoutPIDLockFile(PIDLockFile):
    """python-daemon's class, which gives the timeout on by its position."""

    def __init__(self, path, acquire_timeout=None, *args, **kwargs):
        self.acquire_timeout = acquire_timeout
        super().__init__(path, *args, **kwargs)

    def acquire(self, timeout=None, *args, **kwargs):
        if timeout is None:
            timeout = self.acquire_timeout
        super().acquire(timeout, *args, **kwargs)


class TestAirflow:
    @staticmethod
    def check_if_pidfile_process_is_running(pid_file):
        pid_lock_file = PIDLockFile(path=pid_file)
        if pid_lock_file.is_locked():
            pid = pid_lock_file.read_pid()
            if pid is None:
                return
            try:
                if psutil.Process(pid).is_running():
                    raise RuntimeError(f"already running under PID {pid}")
            except psutil.NoSuchProcess:
                pid_lock_file.break_lock()

    def test_a_running_service_is_not_started_again(self, path, holder):
        with pytest.raises(RuntimeError, match=str(holder.pid)):
            self.check_if_pidfile_process_is_running(path)
        with pytest.raises(AlreadyLocked):
            TimeoutPIDLockFile(path, -1).acquire()
        assert holder.ask("lock.i_am_locking()") is True, "the running service has lost nothing"

    def test_the_pid_file_of_a_dead_process_is_removed(self, path):
        left_by(NOBODYS_PID, path)
        self.check_if_pidfile_process_is_running(path)
        assert not os.path.exists(path), "its owner is dead"

    def test_after_a_kill_the_service_starts_again(self, path, holder):
        holder.kill()
        self.check_if_pidfile_process_is_running(path)
        with TimeoutPIDLockFile(path, -1) as lock:
            assert lock.i_am_locking(), "the dead one's pid file keeps nobody out"

    @pytest.mark.parametrize("text", ["", "-1\n", "0\n", "b0gUs\n"])
    def test_a_pid_file_without_a_pid_is_left_alone(self, path, text):
        with open(path, "w") as file:
            file.write(text)
        self.check_if_pidfile_process_is_running(path)
        with open(path) as file:
            assert file.read() == text, "nobody knows whose it is"


class TestAnsibleRunner:
    def test_the_runner_is_found_and_killed_by_its_pid_file(self, path, holder):
        with open(path) as file:
            pid = int(file.readline())
        os.kill(pid, 0)
        os.kill(pid, signal.SIGKILL)
        holder.kill()
        with TimeoutPIDLockFile(path) as lock:
            assert lock.read_pid() == os.getpid(), "a new runner has taken the killed one's place"
        assert not os.path.exists(path), "it tidies up"


class TestHue:
    class TimeOutPIDLockFile(PIDLockFile):
        def __init__(self, path, timeout, **kwargs):
            PIDLockFile.__init__(self, path, **kwargs)
            self.timeout = timeout

        def __enter__(self):
            super().acquire(timeout=self.timeout)
            return self

    def test_entering_waits_for_the_timeout_that_was_set_later(self, path, holder):
        with pytest.raises(LockTimeout):
            self.TimeOutPIDLockFile(path, 0.05).__enter__()
        holder.ask("lock.release()")
        with self.TimeOutPIDLockFile(path, PATIENCE) as lock:
            assert lock.i_am_locking(), "it is free"
        assert not os.path.exists(path), "leaving releases it"


class TestPants:
    class OwnerPrintingPIDLockFile(pidlockfile.PIDLockFile):
        said_to = None

        def acquire(self, timeout=None):
            if self.is_locked():
                pid = self.read_pid()
                command = self.cmdline_for_pid(pid)
                if command is None:
                    self.break_lock()
                else:
                    print(f"Waiting on process {pid} ({command})", file=self.said_to)
            return pidlockfile.PIDLockFile.acquire(self, timeout)

        @staticmethod
        def cmdline_for_pid(pid):
            try:
                return " ".join(psutil.Process(pid).cmdline())
            except psutil.NoSuchProcess:
                return None

    def test_the_owner_is_named_before_the_wait(self, path, holder):
        lock = self.OwnerPrintingPIDLockFile(path)
        lock.said_to = io.StringIO()
        with pytest.raises(LockTimeout):
            lock.acquire(0.05)
        assert str(holder.pid) in lock.said_to.getvalue(), "it says who is in the way"
        assert "children.py" in lock.said_to.getvalue(), "and by which command"
        assert holder.ask("lock.i_am_locking()") is True, "a living owner keeps its lock"

    def test_the_lock_of_a_dead_owner_is_broken_and_acquired(self, path):
        left_by(NOBODYS_PID, path)
        with self.OwnerPrintingPIDLockFile(path) as lock:
            assert lock.read_pid() == os.getpid(), "the lock is ours"


class TestToil:
    class SmartPIDLockFile(PIDLockFile):
        def __init__(self, path, threaded=False, timeout=None):
            super().__init__(path, threaded, timeout)
            self.broken = []

        def process_alive(self, pid):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return False
            return True

        def acquire(self, timeout=None):
            owner = self.read_pid()
            if owner is not None and owner != os.getpid() and not self.process_alive(owner):
                self.broken.append((self.lock_file, owner))
                self.break_lock()
            PIDLockFile.acquire(self, timeout)

    def test_the_lock_of_a_dead_owner_is_broken_and_that_of_a_living_one_is_not(self, path, holder):
        lock = self.SmartPIDLockFile(path, False, -1)
        with pytest.raises(AlreadyLocked):
            lock.acquire()
        assert lock.broken == [], "the owner lives"
        holder.kill()
        lock.acquire()
        assert lock.broken == [(path + ".lock", holder.pid)], "it says which, by the name it does not use"
        assert lock.i_am_locking(), "the lock is ours"
        lock.release()


class TestMujocoPy:
    BUILD = """
def build(lock_path, built):
    with lockfile.LockFile(lock_path):
        if not os.path.exists(built):
            os.close(os.open(built, os.O_CREAT | os.O_EXCL))
            return "built it"
        return "found it"
"""

    def test_of_many_that_would_build_one_does(self, tmp_path):
        lock_path, built = str(tmp_path / "build"), str(tmp_path / "extension.so")
        with Child() as one, Child() as another, Child() as third:
            builders = [one, another, third]
            for builder in builders:
                builder.ask(self.BUILD)
            for builder in builders:
                builder.tell(f"build({lock_path!r}, {built!r})")
            said = sorted(builder.answer() for builder in builders)
        assert said == ["built it", "found it", "found it"], "each looks with the lock in hand"


class TestCacheControl:
    class FileCache:
        def __init__(self, directory, use_dir_lock=None, lock_class=None):
            if use_dir_lock:
                lock_class = MkdirLockFile
            elif lock_class is None:
                lock_class = LockFile
            self.directory, self.lock_class = directory, lock_class

        def set(self, key, value):
            with self.lock_class(os.path.join(self.directory, key)) as lock:
                with open(lock.path, "wb") as file:
                    file.write(value)

    @pytest.mark.parametrize("options", [{}, {"use_dir_lock": True}, {"lock_class": lockfile.LinkFileLock}])
    @pytest.mark.filterwarnings("ignore:Import from:DeprecationWarning")
    def test_the_cache_writes_to_the_path_of_its_lock(self, tmp_path, options):
        self.FileCache(str(tmp_path), **options).set("entry", b"value")
        assert (tmp_path / "entry").read_bytes() == b"value", "`path` is what was locked, as it was given"
        assert os.listdir(tmp_path) == ["entry"], "there is nothing beside it in the cache"


class TestExpiringLinkLockFile:
    class ExpiringLinkLockFile(LinkLockFile):
        made = 0

        def __init__(self, *args, **kwargs):
            LinkLockFile.__init__(self, *args, **kwargs)
            type(self).made += 1
            self.unique_name = f"{self.unique_name}_{os.path.basename(self.path)}_{type(self).made:x}.lock"

        def lock_age(self, now):
            return now - os.path.getmtime(self.lock_file)

        def update_lock(self, now):
            os.utime(self.lock_file, (now, now))

        def release_if_locking(self):
            if self.i_am_locking():
                self.release()

    def test_each_object_is_an_owner_of_its_own(self, path):
        lock, other = self.ExpiringLinkLockFile(path), self.ExpiringLinkLockFile(path)
        lock.acquire()
        assert lock.i_am_locking(), "by its own name"
        assert not other.i_am_locking(), "the other has another name"
        with pytest.raises(AlreadyLocked):
            other.acquire(timeout=-1)
        other.release_if_locking()
        assert lock.i_am_locking(), "what is not one's own stays"
        lock.release_if_locking()
        assert not lock.is_locked(), "what is, goes"

    def test_the_age_is_that_of_the_lock_file(self, path):
        lock = self.ExpiringLinkLockFile(path)
        with lock:
            lock.update_lock(1000)
            assert lock.lock_age(1060) == 60, "a minute has passed since the update"
            assert lock.i_am_locking(), "which has not cost the lock"
        assert not os.path.lexists(lock.lock_file), "it is gone"


class TestNoopLock:
    class NoopLock(LockBase):
        def acquire(self, timeout=None):
            pass

        def release(self):
            pass

        def is_locked(self):
            return False

        def i_am_locking(self):
            return True

        def break_lock(self):
            pass

    def test_a_lock_that_does_nothing_can_be_used_as_one(self, path, tmp_path):
        with self.NoopLock(path, threaded=False, timeout=1) as lock:
            assert isinstance(lock, LockBase) and lock.i_am_locking(), "it is a lock to whoever asks"
            assert (lock.path, lock.timeout, lock.tname) == (path, 1, ""), "its attributes are set"
            assert os.listdir(tmp_path) == [], "and nothing is done"


class TestGiskard:
    @staticmethod
    def start(path, work):
        pid_file = PIDLockFile(path)
        pid = pid_file.read_pid()
        if pid is not None and not psutil.pid_exists(pid):
            pid_file.break_lock()
        try:
            pid_file.acquire()
            return work()
        except lockfile.AlreadyLocked:
            return f"already running: {read_pid_from_pidfile(path)}"
        finally:
            if pid_file.i_am_locking():
                pid_file.release()

    def test_a_worker_runs_once_and_tidies_up(self, path):
        assert self.start(path, lambda: read_pid_from_pidfile(path)) == os.getpid(), "it has its pid file"
        assert not os.path.exists(path), "which it removes"

    def test_a_second_worker_learns_of_the_first_which_is_then_stopped(self, path, holder):
        assert self.start(path, pytest.fail) == f"already running: {holder.pid}", "the first has the lock"
        pid = read_pid_from_pidfile(path)
        remove_existing_pidfile(path)
        assert not os.path.exists(path), "the pid file of a living worker is removed on request"
        assert holder.ask("lock.i_am_locking()") is False, "the worker can tell"
        os.kill(pid, signal.SIGTERM)
        assert self.start(path, lambda: "it runs") == "it runs", "another can start"


class TestDaemonRunner:
    @staticmethod
    def is_pidfile_stale(pidfile):
        pid = pidfile.read_pid()
        if pid is not None:
            try:
                os.kill(pid, signal.SIG_DFL)
            except ProcessLookupError:
                return True
        return False

    def start(self, pidfile):
        if self.is_pidfile_stale(pidfile):
            pidfile.break_lock()
        try:
            pidfile.__enter__()
        except lockfile.AlreadyLocked:
            return f"{pidfile.path} is already locked"
        return "started"

    def stop(self, pidfile):
        if not pidfile.is_locked():
            return f"{pidfile.path} is not locked"
        if self.is_pidfile_stale(pidfile):
            pidfile.break_lock()
            return "broken"
        os.kill(pidfile.read_pid(), signal.SIGTERM)
        return "told"

    def test_start_fails_while_it_runs_and_stop_reaches_it(self, path, holder):
        pidfile = TimeoutPIDLockFile(path, 0)
        assert self.start(pidfile) == f"{path} is already locked", "it runs"
        assert self.stop(pidfile) == "told", "its pid is in the file"
        # It was told to end: this only waits until it has.
        holder.kill()
        assert self.start(pidfile) == "started", "it left its pid file, which is stale"
        assert pidfile.i_am_locking(), "and which is ours now"
        pidfile.release()
        assert self.stop(pidfile) == f"{path} is not locked", "nobody runs"

    def test_stop_signals_nobody_whom_a_forged_pid_file_names(self, path):
        for forged in ["-1\n", "0\n"]:
            with open(path, "w") as file:
                file.write(forged)
            assert TimeoutPIDLockFile(path, 0).read_pid() is None, f"{forged!r} stands for many processes"


class TestMailers:
    def test_a_queue_that_is_being_sent_is_left_alone(self, path):
        with Child() as sender:
            sender.make("link", path)
            sender.ask("lock.acquire()")
            lock = FileLock(path)
            with pytest.raises(AlreadyLocked):
                lock.acquire(-1)
            with pytest.raises(LockTimeout):
                lock.acquire(0.05)

    def test_a_lock_in_a_directory_that_is_missing_fails(self, tmp_path):
        with pytest.raises(LockFailed):
            PIDLockFile(str(tmp_path / "missing" / "job.pid")).acquire(timeout=10)

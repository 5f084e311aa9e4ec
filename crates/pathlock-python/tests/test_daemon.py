"""Daemons: python-daemon's context with its pid file, and the two forks that programs make themselves."""

import contextlib
import os
import select
import signal
import stat
import subprocess
import sys

import pathlock
import pytest
from children import PATIENCE, Lines, class_of
from pathlock import lockfile
from pathlock.lockfile.pidlockfile import PIDLockFile

CONTEXT = """
import os, select, signal, sys
import pathlock
pathlock.install_as_lockfile()
import daemon, daemon.pidfile, lockfile

assert issubclass(daemon.pidfile.TimeoutPIDLockFile, pathlock.lockfile.pidlockfile.PIDLockFile), "of the replacement"
path, timeout, report = sys.argv[1], eval(sys.argv[2]), int(sys.argv[3])
pidfile = daemon.pidfile.TimeoutPIDLockFile(path, timeout)
try:
    with daemon.DaemonContext(pidfile=pidfile, files_preserve=[report]):
        # A signal that arrives just before `select` must wake it.
        woken, wakes = os.pipe()
        os.set_blocking(wakes, False)
        signal.set_wakeup_fd(wakes)
        os.write(report, f"{os.getpid()}\\n".encode())
        select.select([woken], [], [])
except lockfile.Error as error:
    os.write(report, f"{type(error).__name__}\\n".encode())
"""

TWO_FORKS = """
import os, select, sys
import pathlock
pathlock.install_as_lockfile()
import lockfile
sys.path.insert(0, sys.argv[1])
from children import class_of

kind, path, report, orders, closes_files = sys.argv[2], sys.argv[3], *map(int, sys.argv[4:])
lock = class_of(lockfile, kind)(path)
lock.acquire(timeout=-1)
adopted, adopts = os.pipe()
if os.fork():
    os.close(adopts)
    os.read(adopted, 1)
    sys.exit()
os.chdir("/")
os.setsid()
if os.fork():
    os._exit(0)
if closes_files:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in (0, 1, 2, report, orders, adopts):
            try:
                os.close(int(name))
            except OSError:
                pass
lock.adopt()
os.close(adopts)
os.write(report, f"{os.getpid()}\\n".encode())
os.read(orders, 1)
lock.release()
"""

ORPHAN = """
import os, select, sys
import pathlock
pathlock.install_as_lockfile()
import lockfile
sys.path.insert(0, sys.argv[1])
from children import class_of

kind, path, report, orders = sys.argv[2], sys.argv[3], *map(int, sys.argv[4:])
lock = class_of(lockfile, kind)(path)
lock.acquire(timeout=-1)
parent = os.pidfd_open(os.getpid())
if os.fork():
    os._exit(0)
select.select([parent], [], [])
os.write(report, f"{os.getpid()}\\n".encode())
os.read(orders, 1)
lock.release()
"""


class Daemon:
    """A process that is nobody's child any more, watched by a descriptor that names it and no other."""

    def __init__(self, pid):
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)

    def send(self, number):
        signal.pidfd_send_signal(self._pidfd, number)

    def lives(self):
        return not select.select([self._pidfd], [], [], 0)[0]

    def wait(self):
        ended, _, _ = select.select([self._pidfd], [], [], PATIENCE)
        assert ended, f"daemon {self.pid} does not end"

    def end(self):
        if self.lives():
            self.send(signal.SIGKILL)
            self.wait()
        os.close(self._pidfd)


def launch(program, *args, inherited=()):
    """What the daemon says that `program` starts: its pid, or why it does not run."""
    heard, report = os.pipe()
    try:
        command = [sys.executable, "-c", program, *map(str, args), str(report), *map(str, inherited)]
        subprocess.run(command, pass_fds=[report, *inherited], timeout=PATIENCE, check=True)
        os.close(report)
        return Lines(heard).next()
    finally:
        os.close(heard)


@contextlib.contextmanager
def running(said):
    assert said and said.isdigit(), f"the daemon does not run: {said}"
    daemon = Daemon(int(said))
    try:
        yield daemon
    finally:
        daemon.end()


def first_line(path):
    return path.read_bytes().split(b"\n")[0] + b"\n"


def test_a_daemon_has_its_pid_file_from_start_to_stop(tmp_path):
    path = tmp_path / "daemon.pid"
    for start in ["the first start", "a restart"]:
        with running(launch(CONTEXT, path, None)) as daemon:
            assert first_line(path) == b"%d\n" % daemon.pid, f"{start}: anybody can read whom to signal"
            assert stat.S_IMODE(path.stat().st_mode) == 0o644, f"{start}: anybody can, and nobody else write it"
            seen = PIDLockFile(str(path))
            assert seen.read_pid() == daemon.pid, f"{start}: so can we"
            assert seen.is_locked() and not seen.i_am_locking(), f"{start}: it is locked, by the daemon"
            with pytest.raises(lockfile.NotMyLock):
                seen.release()

            daemon.send(signal.SIGTERM)
            daemon.wait()
            assert not seen.is_locked(), f"{start}: the daemon has released it"
            assert os.listdir(tmp_path) == [], f"{start}: the pid file is gone, and nothing else is left"


@pytest.mark.parametrize("timeout", [None, -1, 0])
def test_a_second_start_fails_at_once_and_does_the_first_no_harm(timeout, tmp_path):
    path = tmp_path / "daemon.pid"
    with running(launch(CONTEXT, path, None)) as daemon:
        before = path.read_bytes()
        assert launch(CONTEXT, path, timeout) == "AlreadyLocked", "the daemon runs already"
        assert path.read_bytes() == before, "the pid file is still the first one's"
        assert daemon.lives(), "and the first one runs on"
        assert PIDLockFile(str(path)).is_locked(), "with its lock"
        assert os.listdir(tmp_path) == ["daemon.pid"], "the second start leaves nothing"


def test_a_second_start_with_a_timeout_waits_for_it(tmp_path):
    path = tmp_path / "daemon.pid"
    with running(launch(CONTEXT, path, None)):
        assert launch(CONTEXT, path, 0.05) == "LockTimeout", "the daemon runs all the while"


def test_after_a_kill_a_restart_works_at_once(tmp_path):
    path = tmp_path / "daemon.pid"
    with running(launch(CONTEXT, path, None)) as killed:
        killed.send(signal.SIGKILL)
        killed.wait()
    assert first_line(path) == b"%d\n" % killed.pid, "a killed daemon leaves its pid file"
    assert not PIDLockFile(str(path)).is_locked(), "which locks nothing"
    with running(launch(CONTEXT, path, None)) as daemon:
        assert PIDLockFile(str(path)).read_pid() == daemon.pid, "it is taken over"
        daemon.send(signal.SIGTERM)
        daemon.wait()
        assert os.listdir(tmp_path) == [], "and removed"


@contextlib.contextmanager
def forked_twice(program, kind, path, *options):
    """A daemon that keeps its lock until it hears something on the descriptor, or that it is closed."""
    orders, order = os.pipe()
    arguments = [os.path.dirname(__file__), kind, path]
    try:
        with running(launch(program, *arguments, inherited=[orders, *options])) as daemon:
            yield daemon, order
    finally:
        os.close(orders)
        os.close(order)


@pytest.mark.parametrize("kind", ["link", "symlink", "mkdir", "pid"])
@pytest.mark.parametrize("closes_files", [0, 1])
def test_a_lock_that_is_acquired_before_the_forks_is_adopted_in_the_daemon(kind, closes_files, tmp_path):
    path = tmp_path / "job"
    seen = class_of(lockfile, kind)(str(path))
    with forked_twice(TWO_FORKS, kind, path, closes_files) as (daemon, order):
        # The process that acquired it has exited by now.
        assert seen.is_locked() and not seen.i_am_locking(), "it is locked, by the daemon"
        assert pathlock.status(path, scheme=kind).owner.pid == daemon.pid, "the record names the daemon"
        with pytest.raises(lockfile.AlreadyLocked):
            seen.acquire(timeout=-1)
        os.write(order, b"!")
        daemon.wait()
        assert not seen.is_locked(), "the daemon has released it"
        assert os.listdir(tmp_path) == [], "and nothing is left"


@pytest.mark.parametrize("kind", ["link", "symlink", "mkdir", "pid"])
def test_an_adopted_lock_comes_free_when_the_daemon_is_killed(kind, tmp_path):
    path = tmp_path / "job"
    with forked_twice(TWO_FORKS, kind, path, 0) as (daemon, _):
        daemon.send(signal.SIGKILL)
        daemon.wait()
        seen = class_of(lockfile, kind)(str(path))
        seen.acquire(timeout=-1)
        assert seen.i_am_locking(), "it is taken over at once"
        seen.release()


def test_a_child_whose_parent_is_gone_has_the_lock_and_may_release_it(tmp_path):
    path = tmp_path / "job"
    seen = class_of(lockfile, "link")(str(path))
    with forked_twice(ORPHAN, "link", path) as (daemon, order):
        assert seen.is_locked(), "the child has the lock file open"
        with pytest.raises(lockfile.AlreadyLocked):
            seen.acquire(timeout=-1)
        os.write(order, b"!")
        daemon.wait()
        assert not seen.is_locked(), "the child has released it"
        assert os.listdir(tmp_path) == [], "and nothing is left"

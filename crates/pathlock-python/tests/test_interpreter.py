"""The end of the interpreter, subinterpreters, and what is collected: what nobody has any more is released."""

import gc
import os
import subprocess
import sys
import weakref

import pathlock
import pytest
from worlds import LEASES, PATIENCE, VANISHES, done_in_thread, each_scheme, files, one_of


def run(program, *arguments):
    """How a Python program ends: its exit code, and what it has said."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    return ended.returncode, ended.stdout, ended.stderr


HELD = """
import asyncio, os, signal, sys, threading
import pathlock
path, scheme = sys.argv[1:]
def make():
    return pathlock.Lock(path, scheme=scheme)
"""

HOLDERS = {
    "a lock of a module": "lock = make(); lock.acquire()",
    "a guard": "guard = make().acquire()",
    "a thread": "lock = make(); t = threading.Thread(target=lock.acquire); t.start(); t.join()",
    "a block": "lock = make(); lock.__enter__()",
    "several": "stack = pathlock.acquire_all([make()])",
    "a task": "lock = pathlock.AsyncLock(path, scheme=scheme); asyncio.run(lock.acquire()._acquire())",
    "a leak": "make_lock = [make()]; make_lock[0].acquire(); make_lock.append(make_lock)",
    "a daemon thread": (
        "got = threading.Event(); threading.Thread(daemon=True, target=lambda: "
        "(globals().update(lock=make()), lock.acquire(), got.set(), threading.Event().wait())).start(); got.wait()"
    ),
}

ENDS = {
    "a normal end": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise ZeroDivisionError", 1),
    "sys.exit in a block": ("with pathlock.Lock(path + '-2', scheme=scheme): sys.exit(4)", 4),
}


@each_scheme
@pytest.mark.parametrize("end", ENDS)
def test_an_interpreter_that_ends_releases_what_it_holds(end, scheme, tmp_path):
    how, code = ENDS[end]
    for holder in HOLDERS if (scheme, end) == ("link", "a normal end") else ["a lock of a module"]:
        ended = run(f"{HELD}\n{HOLDERS[holder]}\nassert make().is_locked()\n{how}", tmp_path / "job", scheme)
        assert ended[0] == code, f"{holder}: {ended}"
        assert "pathlock" not in ended[2].replace("pathlock.Lock(path + '-2'", ""), (
            f"{holder}: not a word of it: {ended}"
        )
        assert pathlock.status(tmp_path / "job", scheme=scheme).state == "free", f"{holder}: it is released"
        if scheme in VANISHES:
            assert files(tmp_path) == [], f"{holder}: nothing is left on disk"


@each_scheme
@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)", "os.abort()"])
def test_what_ends_without_the_interpreter_leaves_a_stale_lock(end, scheme, tmp_path):
    run(f"{HELD}\nlock = make(); lock.acquire()\n{end}", tmp_path / "job", scheme)
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    assert lock.status().state == "stale", "its owner is gone"
    with lock.acquire(timeout=0) as guard:
        assert guard.valid, "the next has it without a wait"


FORKED = """
lock = make()
lock.acquire()
heard, told = os.pipe()
if os.fork() == 0:
    # It goes on when its parent has ended, as the last who could write into the pipe.
    os.close(told)
    os.read(heard, 1)
    status = make().status()
    os.write(1, f"{status.state} {status.owner and status.owner.pid}".encode())
    os._exit(0)
os.close(heard)
os.write(1, f"{os.getpid()} ".encode())
"""


@each_scheme
@pytest.mark.parametrize("way", ["", "sys.exit()", "lock = [lock, lambda: lock]"])
def test_a_fork_keeps_the_end_of_the_parent_from_releasing(way, scheme, tmp_path):
    code, said, complaint = run(f"{HELD}\n{FORKED}\n{way}", tmp_path / "job", scheme)
    assert (code, complaint) == (0, ""), "both have ended well"
    parent, state, owner = said.split()
    assert owner == parent, f"the record is left, for the child to adopt: {state}"
    with pathlock.Lock(tmp_path / "job", scheme=scheme).acquire(timeout=0) as guard:
        assert guard.valid, "after both have ended the next has it without a wait"


def test_what_was_acquired_after_the_fork_is_released(tmp_path):
    program = f"{HELD}\nif os.fork() == 0: os._exit(0)\nos.wait()\nlock = make(); lock.acquire()"
    assert run(program, tmp_path / "job", "link") == (0, "", ""), "it has ended well"
    assert files(tmp_path) == [], "nothing is left"


@pytest.mark.parametrize("waits", ["lock.acquire()", "lock.acquire(timeout=1000)", "lock.wait_free()"])
def test_a_daemon_thread_that_waits_does_not_keep_the_interpreter_from_ending(waits, tmp_path):
    program = f"""{HELD}
holder = make()
holder.acquire()
begun = threading.Event()
lock = pathlock.Lock(path, scheme=scheme, on_wait=lambda event: begun.set())
def wait():
    begun.set()
    {waits}
threading.Thread(target=wait, daemon=True).start()
begun.wait()
"""
    for scheme in pathlock.SCHEMES:
        for _ in range(3):
            assert run(program, tmp_path / "job", scheme) == (0, "", ""), f"{scheme}: it ends well, and at once"
            with pathlock.Lock(tmp_path / "job", scheme=scheme).acquire(timeout=PATIENCE) as guard:
                assert guard.valid, "the next has it"


@pytest.mark.parametrize("callback", ["on_wait", "on_lost"])
def test_an_interpreter_that_ends_while_a_callback_runs_ends_well(callback, tmp_path):
    program = f"""{HELD}
told = threading.Event()
def work(*event):
    told.set()
    for _ in range(300_000):
        pass
holder = pathlock.Lock(path, lease=1, on_lost=work)
holder.acquire()
if {callback!r} == "on_lost":
    holder.break_lock()
else:
    lock = pathlock.Lock(path, on_wait=work)
    threading.Thread(target=lock.acquire, daemon=True).start()
told.wait()
"""
    ends = [run(program, tmp_path / "job", "link") for _ in range(4)]
    assert ends == [(0, "", "")] * 4, "with exit code 0, and without a word"


SUBINTERPRETER = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import pathlock
path = sys.argv[1]

code = '''
import sys
try:
    import pathlock{module}
except ImportError as error:
    assert "interpreter" in str(error), error
else:
    # Before, nothing tells a module of many Python versions which interpreter it is in.
    assert sys.version_info < (3, 12), "it was imported"
'''
for module in ("", "._pathlock", ".lockfile"):
    other = interpreters.create()
    run = getattr(interpreters, "exec", None) or interpreters.run_string
    failure = run(other, code.replace("{module}", module))
    assert failure is None, failure
    interpreters.destroy(other)

with pathlock.Lock(path) as guard:
    assert guard.valid, "the main interpreter goes on"
print("done")
"""


def test_a_subinterpreter_is_told_that_it_can_not_import_the_package_from_python_3_12_on(tmp_path):
    assert run(SUBINTERPRETER, tmp_path / "job") == (0, "done\n", ""), "and the main interpreter goes on"
    assert files(tmp_path) == [], "nothing is left"


@each_scheme
def test_a_lock_that_nobody_has_any_more_is_released(scheme, tmp_path):
    other = pathlock.Lock(tmp_path / "job", scheme=scheme)
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    lock.acquire()
    gone = weakref.ref(lock)
    del lock
    assert gone() is None and not other.is_locked(), "neither lock nor guard are left"

    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    guard = lock.acquire()
    del lock
    gc.collect()
    assert guard.valid and other.is_locked(), "the guard is left, and holds it"
    gone = weakref.ref(guard)
    del guard
    assert gone() is None and not other.is_locked(), "nothing is left"

    pathlock.Lock(tmp_path / "job", scheme=scheme).acquire()
    assert not other.is_locked(), "what is thrown away at once is released at once"
    done_in_thread(lambda: pathlock.Lock(tmp_path / "job", scheme=scheme).acquire())
    assert not other.is_locked(), "in whatever thread"


class Job:
    """A lock whose callbacks have the object that has the lock."""

    def __init__(self, path, **options):
        self.lock = pathlock.Lock(path, on_wait=self.told, on_lost=self.told, **options)

    def told(self, *event):
        pass


@each_scheme
def test_a_lock_in_a_cycle_of_references_is_released_when_it_is_collected(scheme, tmp_path):
    for options in [{"scheme": scheme}] + [{"scheme": scheme, "lease": 5}] * (scheme in LEASES):
        job = Job(tmp_path / "job", **options)
        job.guard = job.lock.acquire()
        gone = weakref.ref(job)
        del job
        gc.collect()
        assert gone() is None, f"{options}: it is collected"
        assert not pathlock.Lock(tmp_path / "job", scheme=scheme).is_locked(), f"{options}: and released"


def test_a_lock_in_a_cycle_is_collected_after_waits_and_leases_too(tmp_path):
    for lease in (None, 5):
        job = Job(tmp_path / "job", lease=lease)
        with job.lock:
            pass
        holder = pathlock.Lock(tmp_path / "job")
        done_in_thread(holder.acquire)
        assert job.lock.try_acquire() is None, "it is busy"
        with pytest.raises(pathlock.LockTimeout):
            job.lock.acquire(0.01)
        holder.release()
        gone = weakref.ref(job)
        del job
        gc.collect()
        assert gone() is None, f"a lease of {lease}: nothing keeps it"


def test_what_a_release_frees_is_not_kept_by_the_lock(tmp_path):
    lock = pathlock.Lock(tmp_path / "job")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(200):
        guard = lock.acquire()
        lock.release()
    gone = weakref.ref(guard)
    del guard
    assert gone() is None, "guards are collected"
    assert len(os.listdir("/proc/self/fd")) <= before + 1, "and no files stay open"


@one_of(["link", "sqlite"])
def test_a_lock_is_released_in_whatever_thread_it_is_collected(scheme, tmp_path):
    lock = [pathlock.Lock(tmp_path / "job", scheme=scheme)]
    lock[0].acquire()
    done_in_thread(lock.clear)
    assert not pathlock.Lock(tmp_path / "job", scheme=scheme).is_locked(), "it is free"

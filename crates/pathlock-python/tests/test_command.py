"""`python -m pathlock` is the command `pathlock`."""

import json
import os
import signal
import subprocess
import sys
import sysconfig

import pathlock
import pytest
from children import PATIENCE, Lines
from worlds import each_scheme, eventually, files, held_elsewhere

BESIDE = os.path.join(sysconfig.get_path("scripts"), "pathlock")
MODULE = [sys.executable, "-m", "pathlock"]


def run(*arguments, command=MODULE, **options):
    options = {"capture_output": True, "text": True, "timeout": PATIENCE, **options}
    return subprocess.run([*command, *map(str, arguments)], **options)


def outcome(ended):
    return ended.returncode, ended.stdout, ended.stderr


def test_its_version_is_that_of_the_package():
    ended = run("--version")
    assert outcome(ended) == (0, f"pathlock {pathlock.__version__}\n", ""), outcome(ended)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--version"],
        ["help"],
        ["run", "--help"],
        ["schemes"],
        ["schemes", "--json"],
        ["nonsense"],
        ["run"],
        ["-é\udcff"],
    ],
    ids=repr,
)
def test_it_says_and_returns_what_the_command_does(arguments):
    assert outcome(run(*arguments, errors="replace")) == outcome(run(*arguments, command=[BESIDE], errors="replace"))


@pytest.mark.parametrize(
    "arguments, code",
    [
        (["--", "true"], 0),
        (["--", "sh", "-c", "exit 7"], 7),
        (["--", "sh", "-c", "exit 75"], 75),
        (["-c", "exit 3"], 3),
        (["--", "no-such-command"], 127),
        (["--", "/"], 126),
        (["--", "sh", "-c", "kill -KILL $$"], 128 + 9),
        (["--no-such-flag", "--", "true"], 64),
    ],
    ids=repr,
)
def test_the_exit_code_is_the_commands(arguments, code, tmp_path):
    ended = run("run", tmp_path / "job", *arguments)
    assert ended.returncode == code, outcome(ended)
    assert files(tmp_path) == [], "the lock is released"


def test_a_missing_directory_is_73(tmp_path):
    ended = run("run", tmp_path / "no" / "job", "--", "true")
    assert ended.returncode == 73 and str(tmp_path / "no") in ended.stderr, outcome(ended)


@each_scheme
def test_it_and_the_package_exclude_each_other(scheme, tmp_path):
    named = f"{scheme}:{tmp_path / 'job'}" if scheme != "sqlite" else tmp_path / "job"
    how = ["--scheme", scheme, tmp_path / "job"]
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    with lock:
        ended = run("run", "-n", *how, "--", "true")
        assert ended.returncode == 75 and str(os.getpid()) in ended.stderr, "it is busy, and says by whom"
        assert run("run", "-w", "0.05", *how, "--", "true").returncode == 75, "also after a while"
        if scheme != "sqlite":
            assert run("status", named).returncode == 1, "it is seen to be held"
    assert run("run", "-n", *how, "--", "true").returncode == 0, "it is free"
    child = subprocess.Popen(
        [*MODULE, "run", *map(str, how), "--", "sh", "-c", "echo inside; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert Lines(child.stdout.fileno()).next() == "inside", "the command runs"
        assert lock.try_acquire() is None, "and keeps the package out"
        assert lock.owner.pid == child.pid, "the owner is the process that was started as Python"
        child.stdin.close()
        assert child.wait(PATIENCE) == 0, "it ends well"
    with lock.acquire(timeout=0):
        assert lock.acquired, "it is free"


def test_it_is_the_process_that_python_was(tmp_path):
    command = [*MODULE, "run", str(tmp_path / "job"), "--", "sh", "-c", "echo $PPID; readlink /proc/$PPID/exe; cat"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        lines = Lines(child.stdout.fileno())
        assert int(lines.next()) == child.pid, "the pid is the same"
        assert os.path.samefile(lines.next(), BESIDE), "and Python is gone"
        child.stdin.close()
        assert child.wait(PATIENCE) == 0, "it ends well"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_command_and_ends_it(number, tmp_path):
    # A signal that is ignored where it starts stays ignored.
    def heed():
        signal.signal(number, signal.SIG_DFL)

    script = "trap 'echo told; exit 5' TERM INT HUP; echo ready; while :; do read line; done"
    command = [*MODULE, "run", str(tmp_path / "job"), "--", "sh", "-c", script]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=heed)
    with child:
        lines = Lines(child.stdout.fileno())
        assert lines.next() == "ready", "the command runs"
        child.send_signal(number)
        child.stdin.close()
        assert child.wait(PATIENCE) in (5, 128 + number), "the command's end is its own"
    assert files(tmp_path) == [], "the lock is released"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_of_the_command(number, tmp_path):
    def heed():
        signal.signal(number, signal.SIG_DFL)

    lock = pathlock.Lock(tmp_path / "job")
    with lock:
        child = subprocess.Popen(
            [*MODULE, "run", "-q", str(tmp_path / "job"), "--", "touch", str(tmp_path / "ran")], preexec_fn=heed
        )
        with child:
            eventually(lambda: child.pid in [waiter.pid for waiter in lock.status().waiters], "it waits")
            child.send_signal(number)
            assert child.wait(PATIENCE) == 128 + number, "the wait has ended with the signal"
        assert lock.acquired and not (tmp_path / "ran").exists(), "the command was not started"


def test_status_says_what_the_package_says(tmp_path):
    for path, state, code in [
        ("free", "free", 0),
        ("held", "held", 1),
        ("stale", "stale", 0),
        ("unknown", "unknown", 1),
    ]:
        with held_elsewhere(tmp_path / path) as other:
            if state == "free":
                other.ask("lock.release()")
            elif state == "stale":
                other.kill()
            elif state == "unknown":
                other.ask("lock.release()")
                (tmp_path / "unknown.lock").touch()
            status = pathlock.status(tmp_path / path)
            ended = run("status", "--json", tmp_path / path)
            assert ended.returncode == code and status.state == state, f"{path}: {outcome(ended)}"
            told = json.loads(ended.stdout)
            assert told["state"] == state, told
            assert (told["owner"] or {}).get("pid") == (status.owner.pid if status.owner else None), told
            assert run("status", tmp_path / path).stdout.count(state), "in words, too"


def test_list_shows_the_locks_of_the_package(tmp_path):
    locks = [
        pathlock.Lock(tmp_path / scheme, scheme=scheme)
        for scheme in pathlock.SCHEMES
        if scheme not in ("pid", "sqlite")
    ]
    for lock in locks:
        lock.acquire()
    ended = run("list", tmp_path)
    assert ended.returncode == 0, outcome(ended)
    for lock in locks:
        assert os.path.basename(lock.lock_file) in ended.stdout, f"{lock.scheme}: {ended.stdout}"
        lock.release()
    assert str(os.getpid()) in ended.stdout, "with their owner"
    assert str(os.getpid()) not in run("list", tmp_path).stdout, "as long as they are held"


def test_wait_and_break_work_on_the_locks_of_the_package(tmp_path):
    lock = pathlock.Lock(tmp_path / "job")
    guard = lock.acquire()
    assert run("wait", "-n", "-q", tmp_path / "job").returncode == 75, "it is held"
    assert run("break", tmp_path / "job").returncode == 75 and guard.valid, "a lock that is held is left alone"
    assert run("break", "--if-owner", os.getpid(), tmp_path / "job").returncode == 0, "unless its owner is named"
    assert not guard.valid, "the package sees that it is broken"
    assert run("wait", tmp_path / "job").returncode == 0, "it is free"
    with pytest.raises(pathlock.NotLocked):
        lock.release()


def test_a_missing_command_is_told_with_exit_code_69(tmp_path):
    # As where the package was copied by hand: no directory of scripts has the command.
    program = f"""
import runpy, sys, sysconfig
sysconfig.get_path = lambda *arguments, **options: {str(tmp_path)!r}
sys.argv = ["pathlock", "--version"]
runpy.run_module("pathlock", run_name="__main__", alter_sys=True)
"""
    ended = run("-c", program, command=[sys.executable])
    assert ended.returncode == 69, outcome(ended)
    assert "Traceback" not in ended.stderr and ended.stdout == "", f"not as a fault of the program: {ended.stderr}"
    assert str(tmp_path) in ended.stderr and "install" in ended.stderr, (
        f"where it was looked for, what to do: {ended.stderr}"
    )
    (tmp_path / "pathlock").write_text("not a program")
    assert run("-c", program, command=[sys.executable]).returncode == 69, "what can't be run is not it"


def test_it_can_be_called_as_a_function_without_it(tmp_path, monkeypatch, capsys):
    from pathlock import __main__

    monkeypatch.setattr(__main__.sysconfig, "get_path", lambda *arguments, **options: str(tmp_path))
    assert __main__.main() == 69, "there is no command"
    assert "pathlock" in capsys.readouterr().err, "it says so"

"""The end of the interpreter, while threads of the library and of the program are about to call Python."""

import subprocess
import sys

import pytest

PATIENCE = 60
TIMES = 20

# The thread that served the last task may still be about to wake the loop.
SERVED_JUST_NOW = """
import asyncio, sys, pathlock
async def main():
    async with pathlock.AsyncLock(sys.argv[1]):
        pass
    lock = pathlock.AsyncLock(sys.argv[1])
    await lock.acquire()
    lock.release()
asyncio.run(main())
"""

# The end releases what they wait for, so they win it while the interpreter goes away.
WAITING_DAEMONS = """
import sys, threading, pathlock
lock = pathlock.Lock(sys.argv[1])
lock.acquire()
waiting = threading.Semaphore(0)
def wait():
    pathlock.Lock(sys.argv[1], on_wait=lambda event: waiting.release()).acquire()
for _ in range(3):
    threading.Thread(target=wait, daemon=True).start()
for _ in range(3):
    waiting.acquire()
"""

# Handlers that were registered before ours run after it.
LAST_WORDS = """
import atexit, sys
def last_words():
    with pathlock.Lock(sys.argv[1], timeout=5):
        print("said")
atexit.register(last_words)
import pathlock
"""


def run(program, path):
    command = [sys.executable, "-c", program, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize("program", [SERVED_JUST_NOW, WAITING_DAEMONS], ids=["served just now", "waiting daemons"])
def test_a_program_ends_in_peace_whoever_still_waits_or_wakes(program, tmp_path):
    for time in range(TIMES):
        ended = run(program, tmp_path / "job")
        assert (ended.returncode, ended.stderr) == (0, ""), f"run {time} has not ended as programs do"


def test_a_handler_that_runs_at_the_very_end_can_lock(tmp_path):
    ended = run(LAST_WORDS, tmp_path / "job")
    assert (ended.stdout, ended.stderr) == ("said\n", ""), "it got the lock, and gave it back"
    assert not list(tmp_path.iterdir()), "nothing is left"

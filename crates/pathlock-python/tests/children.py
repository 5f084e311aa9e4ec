"""Child processes that do what they are told.

A child is told Python code, one line each, and answers with one line what came of it. So a test is a conversation,
and nobody has to guess how long a step takes. In a child of "ours" the name `lockfile` means `pathlock.lockfile`, in
one of "theirs" the package of that name.
"""

import importlib
import json
import os
import select
import subprocess
import sys
import time

# Far more than anything takes on a loaded machine: it only tells a test that hangs from one that is slow.
PATIENCE = 60.0

CLASSES = {
    "link": ("linklockfile", "LinkLockFile"),
    "symlink": ("symlinklockfile", "SymlinkLockFile"),
    "mkdir": ("mkdirlockfile", "MkdirLockFile"),
    "pid": ("pidlockfile", "PIDLockFile"),
    "sqlite": ("sqlitelockfile", "SQLiteLockFile"),
}


def class_of(lockfile, kind):
    module, name = CLASSES[kind]
    return getattr(importlib.import_module(f"{lockfile.__name__}.{module}"), name)


class Lines:
    """The lines that somebody writes into a pipe."""

    def __init__(self, fd):
        self._fd = fd
        self._unread = b""

    def next(self, within=PATIENCE):
        """The next line, or `None` when nobody will write any more."""
        deadline = time.monotonic() + within
        while b"\n" not in self._unread:
            readable, _, _ = select.select([self._fd], [], [], max(0, deadline - time.monotonic()))
            assert readable, f"nothing was said within {within} s, but {self._unread!r}"
            said = os.read(self._fd, 65536)
            if not said:
                return None
            self._unread += said
        line, self._unread = self._unread.split(b"\n", 1)
        return line.decode()


class Raised(Exception):
    """What a child was told to do raised an exception there."""

    def __init__(self, name, text):
        super().__init__(f"{name}: {text}")
        self.name = name


class Child:
    def __init__(self, library="ours"):
        command = [sys.executable, __file__, library]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lines = Lines(self._process.stdout.fileno())
        self.pid = self._process.pid

    def tell(self, code, announce=False):
        self._process.stdin.write(json.dumps([code, announce]).encode() + b"\n")
        self._process.stdin.flush()

    def begin(self, code):
        """Tells the child to do what makes it wait, and returns when it waits."""
        self.tell(code, announce=True)
        self.answer()
        until_asleep(self.pid)

    def answer(self):
        line = self._lines.next()
        assert line is not None, f"the child ended with {self._process.wait(PATIENCE)} and did not answer"
        answer = json.loads(line)
        if "raised" in answer:
            raise Raised(answer["raised"], answer["text"])
        return answer["value"]

    def ask(self, code):
        self.tell(code)
        return self.answer()

    def refusal(self, code):
        """The name of the exception that `code` raises there; `None` if it raises none."""
        try:
            self.ask(code)
        except Raised as raised:
            return raised.name
        return None

    def make(self, kind, path, **options):
        """Has the child call a lock of `path` by the name `lock`."""
        self.ask(f"lock = class_of(lockfile, {kind!r})({str(path)!r}, **{options!r})")

    def end(self):
        """Lets the child end as a program does that has nothing left to do."""
        self._process.stdin.close()
        code = self._process.wait(PATIENCE)
        assert code == 0, f"the child ended with {code}"

    def kill(self):
        self._process.kill()
        self._process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self._process.stdout.close()
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass


def until_asleep(pid):
    """Returns when the first thread of a process sleeps."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with open(f"/proc/{pid}/stat") as stat:
            state = stat.read().rpartition(")")[2].split()[0]
        if state == "S":
            return
        assert time.monotonic() < deadline, f"process {pid} never waits: its state is {state}"
        os.sched_yield()


def serve(library):
    if library == "ours":
        import pathlock

        pathlock.install_as_lockfile()
    import lockfile

    def outcome(code):
        try:
            try:
                value = eval(compile(code, "<told>", "eval"), scope)
            except SyntaxError:
                value = exec(code, scope)
            return {"value": value}
        except Exception as error:
            return {"raised": type(error).__name__, "text": str(error)}

    def forked(code):
        """What `code` comes to in a forked child, which then exits as any program does."""
        heard, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(told, json.dumps(outcome(code), default=repr).encode())
            sys.exit()
        os.close(told)
        with os.fdopen(heard) as pipe:
            text = pipe.read()
        _, status = os.waitpid(child, 0)
        assert status == 0, f"the forked child ended with {status}"
        return json.loads(text)

    scope = {"lockfile": lockfile, "class_of": class_of, "forked": forked, "os": os, "sys": sys, "time": time}
    for line in sys.stdin:
        code, announce = json.loads(line)
        if announce:
            print(json.dumps({"value": "it begins"}), flush=True)
        print(json.dumps(outcome(code), default=repr), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])

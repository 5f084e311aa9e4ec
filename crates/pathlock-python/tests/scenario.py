"""Scenarios: what a program sees of its locks, with lockfile 0.12.2 and with pathlock in its place.

`@scenario` makes a test of a function that is played in a process of its own, for each backend that it names: once with
the real lockfile, where it must end as `bites` says (or the test would prove nothing), and once after
`pathlock.install_as_lockfile()`, where it must come to its end. It is given a `Place`: a directory, and the class to
lock with.

Interference is real, for one of the two libraries makes its system calls outside of Python: a `Child` can have its
calls held, so that its parent looks and acts in the moment before each of them, and decides whether it fails.

There are hundreds of these processes: what few of them need is imported where it is used.
"""

import contextlib
import fcntl
import importlib
import marshal
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

REAL, OURS = "lockfile-0.12.2", "pathlock"
# Seconds. Nothing takes as long as these on a loaded machine: they tell what hangs from what is slow.
LIMIT, PATIENCE = 30, 10

_played = None
"""The library that this process plays with; None in pytest's own."""


def scenario(*backends, bites=None, kept=None):
    """`bites`: a pattern of the exception that ends it with lockfile 0.12.2. `kept`: why pathlock does the same."""

    def decorate(body):
        if _played is not None:
            return body
        import re

        import pytest

        @pytest.mark.parametrize("library", [REAL, OURS])
        @pytest.mark.parametrize("backend", backends or ["package"])
        def test(library, backend, tmp_path):
            failure = _run(body, library, backend, tmp_path)
            if library == OURS or kept:
                assert not failure, f"with {library} the scenario ends with {failure}"
            else:
                assert failure, "with lockfile 0.12.2 the scenario comes to its end, so it shows no fault"
                assert re.search(bites, failure), f"with lockfile 0.12.2 another fault is met: {failure}"

        test.__name__ = test.__qualname__ = body.__name__
        test.__module__, test.__doc__ = body.__module__, body.__doc__
        return test

    return decorate


def _run(body, library, backend, directory):
    """How the scenario ends: the exception with its traceback, or nothing."""
    import subprocess

    for name in ["work", "temporary"]:
        (directory / name).mkdir()
    verdict, log = directory / "verdict", directory / "log"
    paths = [os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment["TMPDIR"] = str(directory / "temporary")
    command = [sys.executable, "-c", "import scenario; scenario.play()", body.__module__, body.__name__]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [*command, library, backend, str(directory / "work"), str(verdict)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
    try:
        process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        # Not waited for yet, so the number is still its own, and its group's.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"Hangs: the scenario has not ended after {LIMIT} s\n{log.read_text()}"
    assert verdict.exists(), f"the scenario's process ended with {process.returncode}: {log.read_text()}"
    return verdict.read_text()


def play():
    """In the scenario's process."""
    global _played
    module, name, _played, backend, directory, verdict = sys.argv[1:]
    if _played == OURS:
        import pathlock

        pathlock.install_as_lockfile()
    failure = ""
    try:
        getattr(importlib.import_module(module), name)(Place(backend, directory))
    except Exception as error:
        failure = f"{type(error).__name__}: {error}\n{_trace()}"
    for child in Child.alive[:]:
        child.kill()
    with open(verdict, "w") as file:
        file.write(failure)
    # A thread that still waits must not keep it.
    os._exit(0)


def _trace():
    import traceback

    return traceback.format_exc()


class Place:
    """A directory with a path to lock, and the class to lock it with."""

    CLASSES = {
        "link": ("linklockfile", "LinkLockFile"),
        "symlink": ("symlinklockfile", "SymlinkLockFile"),
        "mkdir": ("mkdirlockfile", "MkdirLockFile"),
        "pid": ("pidlockfile", "PIDLockFile"),
        "sqlite": ("sqlitelockfile", "SQLiteLockFile"),
    }

    def __init__(self, backend, directory):
        self.backend, self.directory = backend, directory
        self.path = self.join("res")
        self.lock_file = self.path if backend == "pid" else self.path + ".lock"

    def join(self, *names):
        return os.path.join(self.directory, *names)

    @property
    def lock_class(self):
        module, name = self.CLASSES[self.backend]
        return getattr(importlib.import_module(f"lockfile.{module}"), name)

    def lock(self, path=None, **options):
        return self.lock_class(path or self.path, **options)

    def native(self, **options):
        """A lock by pathlock's own interface, for what lockfile's has no words for."""
        if _played == REAL:
            return self.lock(**options)
        import pathlock

        return pathlock.Lock(self.path, scheme=self.backend, **options)

    def names(self):
        return sorted(os.listdir(self.directory))

    @contextlib.contextmanager
    def held(self):
        """Another thread holds the lock, until the end or until it is told to let go."""
        holder = Holder(self)
        try:
            yield holder
        finally:
            holder.let_go()
            holder.join(PATIENCE)


class Holder(threading.Thread):
    def __init__(self, place):
        super().__init__(daemon=True)
        self.released_at = None
        self._place, self._held, self._told = place, threading.Event(), threading.Event()
        self.start()
        assert self._held.wait(PATIENCE), "the lock was free, and was not acquired"

    def run(self):
        lock = self._place.lock()
        lock.acquire()
        self._held.set()
        self._told.wait(LIMIT)
        self.released_at = time.monotonic()
        outcome(lock.release)

    def let_go(self):
        self._told.set()


def outcome(action):
    """The truth value that it returns, "done", or the name of the exception that it raises."""
    try:
        value = action()
    except BaseException as error:
        return type(error).__name__
    return value if isinstance(value, bool) else "done"


def attempt(lock, timeout):
    return outcome(lambda: lock.acquire(timeout=timeout))


def in_a_thread(action):
    """What `action` returns in another thread."""
    values = []
    thread = threading.Thread(target=lambda: values.append(action()), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert values, "the other thread came to no end"
    return values[0]


def in_a_child(action):
    """What `action` returns in a forked child."""
    with Child(lambda parent: parent.say(action())) as child:
        return child.hear()


def once_it_waits(action, period=0):
    """Has `action` run once when a lock of this process has begun to wait, or polls with that period at least.

    Returns whether that is certain. pathlock sleeps in the kernel and says nothing of it: after a while it is assumed.
    """
    if _played == OURS:
        threading.Timer(0.2, action).start()
        return False
    sleep = time.sleep

    def first_sleep(seconds):
        if seconds >= period:
            time.sleep = sleep
            action()
        sleep(seconds)

    time.sleep = first_sleep
    return True


class End:
    """One end of a conversation between two processes."""

    def __init__(self, connection):
        self.connection = connection

    def say(self, value):
        self.connection.send(marshal.dumps(value))

    def hear(self):
        said = self.connection.recv(65536)
        if not said:
            os._exit(0)
        return marshal.loads(said)

    def hold_calls(self, *kinds):
        """From now on each system call of these kinds waits for the parent."""
        numbers = [number for kind in kinds for number in CALLS[kind]]
        listener = _listen(numbers)
        socket.send_fds(self.connection, [b"."], [listener])
        os.close(listener)


class Child(End):
    """A forked child that plays a role."""

    alive = []

    def __init__(self, role):
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        super().__init__(mine)
        self._said, self._listener = [], None
        self.pid = os.fork()
        if self.pid == 0:
            try:
                mine.close()
                role(End(its))
            except BaseException:
                End(its).say({"failed": _trace()})
            finally:
                os._exit(0)
        its.close()
        self.alive.append(self)

    def hear(self):
        """What it says next; the calls that it makes until then go on."""
        while self.held_call():
            pass
        said = self._said.pop(0)
        if isinstance(said, dict):
            raise Failure(said["failed"])
        return said

    def do(self, method, *arguments):
        """Of another process: what comes of a method of its lock."""
        self.say((method, arguments))
        return self.hear()

    def held_call(self):
        """The next call that is held; it goes on when the one after it is asked for. None once something is said."""
        self._go_on()
        while not self._said:
            sources = [source for source in (self.connection, self._listener) if source is not None]
            ready = select.select(sources, [], [], PATIENCE)[0]
            if not ready:
                raise Failure("the child says nothing")
            if self.connection in ready:
                said, listeners, _, _ = socket.recv_fds(self.connection, 65536, 1)
                if listeners:
                    self._listener = listeners[0]
                else:
                    self._said.append(marshal.loads(said) if said else {"failed": "the child has ended"})
                continue
            self._call = Call.receive(self._listener)
            if self._call.is_meant():
                return self._call
            self._go_on()
        return None

    _call = None

    def _go_on(self):
        call, self._call = self._call, None
        if call is not None:
            call.go_on()

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.end()

    def end(self):
        if self in self.alive:
            self.alive.remove(self)
            self.connection.close()
            if self._listener is not None:
                os.close(self._listener)
            os.waitpid(self.pid, 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Failure(Exception):
    """The scenario itself went wrong."""


def another_process(place, prepare=lambda: None):
    """A child with a lock of its own, which does what it is told."""

    def role(parent):
        prepare()
        lock = place.lock()
        while True:
            method, arguments = parent.hear()
            parent.say(outcome(lambda: getattr(lock, method)(*arguments)))

    return Child(role)


# For each machine the numbers of the system calls of a kind, and which of their arguments are paths.
CALLS = {
    "x86_64": {
        "seccomp": {317: ()},
        "link": {86: (0, 1), 265: (1, 3)},
        "remove": {84: (0,), 87: (0,), 263: (1,)},
        "rename": {82: (0, 1), 264: (1, 3), 316: (1, 3)},
        "mkdir": {83: (0,), 258: (1,)},
        "create": {2: (0,), 257: (1,)},
        "write": {1: (), 18: (), 20: ()},
    },
    "aarch64": {
        "seccomp": {277: ()},
        "link": {37: (1, 3)},
        "remove": {35: (1,)},
        "rename": {38: (1, 3), 276: (1, 3)},
        "mkdir": {34: (1,)},
        "create": {56: (1,)},
        "write": {64: (), 66: (), 68: ()},
    },
}.get(os.uname().machine, {})


def _listen(numbers):
    """Holds these calls of this process, by seccomp(2); returns the descriptor that tells of them."""
    import ctypes

    load, jump_if_equal, answer = 0x20, 0x15, 0x06
    allow, notify = 0x7FFF0000, 0x7FC00000
    steps = [(load, 0, 0, 0)]
    steps += [(jump_if_equal, len(numbers) - index, 0, number) for index, number in enumerate(numbers)]
    steps += [(answer, 0, 0, allow), (answer, 0, 0, notify)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    (seccomp,) = CALLS["seccomp"]
    no_new_privileges, set_filter, new_listener = 38, 1, 8
    libc.prctl(no_new_privileges, 1, 0, 0, 0)
    listener = libc.syscall(seccomp, set_filter, new_listener, program)
    if listener < 0:
        raise Failure(f"this kernel holds no system calls: {os.strerror(ctypes.get_errno())}")
    return listener


class Call:
    """A system call that a child is about to make."""

    RECEIVE, SEND = 0xC0502100, 0xC0182101

    def __init__(self, listener, notification):
        self._listener = listener
        self._id, self._thread, _, self._number, _, _, *self._arguments = struct.unpack("=QIIiIQ6Q", notification)
        self._paths = next(kind[self._number] for kind in CALLS.values() if self._number in kind)

    @classmethod
    def receive(cls, listener):
        notification = bytearray(80)
        fcntl.ioctl(listener, cls.RECEIVE, notification)
        return cls(listener, notification)

    def is_meant(self):
        """Of calls that open a file, only those that may make it are."""
        return self._number not in CALLS["create"] or bool(self._arguments[self._paths[0] + 1] & os.O_CREAT)

    def paths(self):
        with open(f"/proc/{self._thread}/mem", "rb", buffering=0) as memory:
            texts = [os.pread(memory.fileno(), 4096, self._arguments[index]) for index in self._paths]
        return [os.fsdecode(text.partition(b"\0")[0]) for text in texts]

    def go_on(self):
        self._answer(0, 1)

    def fail(self, errno):
        self._answer(-errno, 0)

    def _answer(self, error, flags):
        if self._id is not None:
            fcntl.ioctl(self._listener, self.SEND, struct.pack("=QqiI", self._id, 0, error, flags))
            self._id = None

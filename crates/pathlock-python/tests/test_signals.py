"""Signals during a wait: Ctrl-C ends it, other handlers run and let it go on, and nothing is left behind.

It is a child that waits, so that a signal that goes astray ends no test run.
"""

import os
import signal
import threading
import time

import pathlock
import pytest
from children import PATIENCE
from worlds import SHARED, Other, each_scheme, eventually, files, in_thread, one_of

AT_ONCE = 0.05

CODE = """
import ctypes, functools, operator, signal, threading

class Stop(Exception):
    pass

def enter():
    with lock:
        pass

def interrupted(wait):
    # When the wait has ended with Ctrl-C; None when it has ended in another way.
    try:
        wait()
    except KeyboardInterrupt:
        return time.monotonic()

def when(number, does):
    signal.signal(number, lambda *_: does())

def stop():
    raise Stop

# Started from a shell in the background, a program ignores SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
"""

WAITS = [
    "lock.acquire()",
    f"lock.acquire(timeout={PATIENCE})",
    "enter()",
    "pathlock.acquire_all([lock])",
    f"pathlock.acquire_all([pathlock.Lock(lock.path + '-free', scheme=lock.scheme), lock], {PATIENCE})",
]
LOOKS = ["lock.wait_free()", f"lock.wait_free({PATIENCE})"]


class Signalled(Other):
    def __init__(self, path, **options):
        super().__init__(path, **options)
        self.ask(CODE)

    def send(self, number):
        os.kill(self.pid, number)


def latency(child, wait):
    child.begin(f"interrupted(lambda: {wait})")
    sent = time.monotonic()
    child.send(signal.SIGINT)
    ended = child.answer()
    assert ended is not None, f"Ctrl-C ends {wait} with KeyboardInterrupt"
    return ended - sent


@each_scheme
@pytest.mark.parametrize("waits", [WAITS, LOOKS], ids=["acquiring", "looking"])
def test_ctrl_c_ends_any_wait_at_once_and_leaves_nothing_behind(scheme, waits, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    guard = lock.acquire()
    with Signalled(lock.path, scheme=scheme) as child:
        child.ask("lock.is_locked(), lock.status()")
        before = files(tmp_path)
        for wait in waits:
            taken = [latency(child, wait) for _ in range(4)]
            assert min(taken) < AT_ONCE, f"{wait} ends at once: {taken}"
            assert not child.ask("lock.acquired"), f"{wait} has acquired nothing"
        left = [name for name in files(tmp_path) if not name.startswith("job-free")]
        assert left == before, "nothing is left on disk"
        free = pathlock.Lock(lock.path + "-free", scheme=scheme)
        assert not free.is_locked(), "of several locks, those that were acquired before are released"
        assert guard.valid, "the holder has not noticed"
        lock.release()
        # The call of a wait that has ended stays in the kernel's queue, and hands on what it gets.
        eventually(lambda: not lock.is_locked(), "nobody has got it in the end")
        with lock.acquire(timeout=PATIENCE):
            pass  # And nobody stands in the way.
        eventually(lambda: lock.status().waiters == (), "nobody waits any more")
        child.ask(f"lock.acquire(timeout={PATIENCE})")
        assert child.ask("lock.acquired"), "the child itself can acquire it as before"


@one_of(SHARED)
def test_ctrl_c_ends_the_wait_of_a_reader(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    lock.acquire()
    with Signalled(lock.path, scheme=scheme, shared=True) as child:
        taken = [latency(child, "lock.acquire()") for _ in range(4)]
        assert min(taken) < AT_ONCE, f"at once: {taken}"
    lock.release()
    with lock.acquire(timeout=PATIENCE) as guard:
        assert guard.valid, "no reader is left"


@each_scheme
def test_the_others_keep_their_turns_when_one_is_interrupted(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    lock.acquire()
    with Signalled(lock.path, scheme=scheme) as first, Signalled(lock.path, scheme=scheme) as second:
        first.begin("interrupted(lock.acquire)")
        second.begin("lock.acquire() and None")
        first.send(signal.SIGINT)
        assert first.answer(), "the first of them is interrupted"
        lock.release()
        second.answer()
        assert second.ask("lock.acquired"), "the second gets it"


@each_scheme
def test_what_a_handler_raises_is_raised_by_the_wait(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    lock.acquire()
    with Signalled(lock.path, scheme=scheme) as child:
        child.ask("when(signal.SIGALRM, stop)")
        for wait in WAITS:
            child.begin(wait)
            child.send(signal.SIGALRM)
            with pytest.raises(Exception, match="Stop"):
                child.answer()
        assert child.refusal("lock.acquire(0)") == "AlreadyLocked", "what it has raised before is not raised again"


@each_scheme
def test_a_handler_that_does_not_raise_lets_the_wait_go_on(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    lock.acquire()
    ran = tmp_path / "ran"
    ran.touch()
    with Signalled(lock.path, scheme=scheme) as child:
        child.ask(f"when(signal.SIGUSR1, lambda: open({str(ran)!r}, 'a').write('.'))")
        for wait in ("lock.acquire()", f"lock.acquire({PATIENCE})"):
            before = ran.stat().st_size
            child.begin(f"{wait} and None")
            for count in range(1, 6):
                child.send(signal.SIGUSR1)
                eventually(lambda: ran.stat().st_size == before + count, "the handler runs during the wait")
            lock.release()
            child.answer()
            assert child.ask("lock.acquired"), "the wait has gone on, and got it"
            child.ask("lock.release()")
            lock.acquire()
        child.begin("lock.acquire(timeout=0.1)")
        child.send(signal.SIGUSR1)
        with pytest.raises(Exception, match="LockTimeout"):
            child.answer()  # The time goes on, too.


@each_scheme
def test_a_handler_may_take_another_lock(scheme, tmp_path):
    outer = pathlock.Lock(tmp_path / "outer", scheme=scheme)
    inner = pathlock.Lock(tmp_path / "inner", scheme=scheme)
    outer.acquire()
    inner.acquire()
    with Signalled(outer.path, scheme=scheme) as child:
        child.ask(f"inner = pathlock.Lock({inner.path!r}, scheme={scheme!r})")
        child.ask("when(signal.SIGUSR1, lambda: inner.acquire())")
        child.begin("lock.acquire() and None")
        child.send(signal.SIGUSR1)
        if scheme != "symlink":
            eventually(lambda: inner.status().waiters, "the handler waits for the other lock")
        inner.release()
        eventually(lambda: inner.owner and inner.owner.pid == child.pid, "the handler gets it")
        outer.release()
        child.answer()
        assert child.ask("lock.acquired and inner.acquired"), "and the wait that it interrupted has gone on"


@one_of([scheme for scheme in pathlock.SCHEMES if scheme != "symlink"])
def test_ctrl_c_in_the_wait_of_a_handler_ends_both_waits(scheme, tmp_path):
    outer = pathlock.Lock(tmp_path / "outer", scheme=scheme)
    inner = pathlock.Lock(tmp_path / "inner", scheme=scheme)
    outer.acquire()
    inner.acquire()
    with Signalled(outer.path, scheme=scheme) as child:
        child.ask(f"inner = pathlock.Lock({inner.path!r}, scheme={scheme!r})")
        child.ask("when(signal.SIGUSR1, lambda: inner.acquire())")
        child.begin("interrupted(lock.acquire) and None")
        child.send(signal.SIGUSR1)
        eventually(lambda: inner.status().waiters, "the handler waits for the other lock")
        child.send(signal.SIGINT)
        child.answer()
        assert not child.ask("lock.acquired or inner.acquired"), "it has neither"
        outer.release()
        inner.release()
        with outer.acquire(timeout=PATIENCE), inner.acquire(timeout=PATIENCE):
            pass  # It stands in nobody's way.
        child.ask(f"lock.acquire({PATIENCE})")
        assert child.ask("lock.acquired"), "what was raised is not raised again"


@each_scheme
def test_a_signal_just_before_the_wait_sleeps_ends_it(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    lock.acquire()
    with Signalled(lock.path, scheme=scheme) as child:
        # No line of Python runs between the signal and the sleep, so nobody but the wait can notice it.
        child.ask("send = ctypes.CDLL(None)['raise']; send.argtypes = [ctypes.c_int, ctypes.py_object]")
        child.ask("send_int = functools.partial(send, signal.SIGINT)")
        child.ask(f"telling = pathlock.Lock(lock.path, scheme=lock.scheme, timeout={PATIENCE}, on_wait=send_int)")
        child.ask("one_by_one = lambda *calls: list(map(operator.methodcaller('__call__'), calls))")
        before_it_begins = f"one_by_one(functools.partial(send_int, None), functools.partial(lock.acquire, {PATIENCE}))"
        for wait in ("telling.acquire()", before_it_begins):
            taken = []
            for _ in range(4):
                begun, ended = child.ask(f"time.monotonic(), interrupted(lambda: {wait})")
                assert ended is not None, f"{wait} ends with KeyboardInterrupt"
                taken.append(ended - begun)
            assert min(taken) < AT_ONCE, f"{wait} ends at once: {taken}"


@each_scheme
def test_a_signal_between_the_last_look_for_signals_and_the_sleep_ends_the_wait_at_once(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    lock.acquire()
    with Signalled(lock.path, scheme=scheme) as child:
        # SIGINT comes while handlers are called, too late for this time: those of smaller numbers have had their turn.
        child.ask(
            "send = ctypes.CDLL(None)['raise']; send.argtypes = [ctypes.c_int, ctypes.py_object, ctypes.py_object]"
        )
        child.ask("signal.signal(signal.SIGUSR2, functools.partial(send, signal.SIGINT))")
        taken = []
        for _ in range(4):
            child.begin("interrupted(lock.acquire)")
            sent = time.monotonic()
            child.send(signal.SIGUSR2)
            ended = child.answer()
            assert ended is not None, "it ends with KeyboardInterrupt"
            taken.append(ended - sent)
        assert min(taken) < AT_ONCE, f"it ends at once: {taken}"


BOTH = """
send = ctypes.CDLL(None)['raise']
send.argtypes = [ctypes.c_int, ctypes.py_object]
# No line of Python runs between the two, so the handler runs after the second.
calls = [functools.partial(send, signal.SIGINT, None), functools.partial(operator.floordiv, 1, 0)]
told = lambda event: list(map(operator.methodcaller('__call__'), calls))
telling = pathlock.Lock(lock.path, scheme=lock.scheme, on_wait=told)

def raised(wait):
    try:
        wait()
    except BaseException as error:
        return [type(error).__name__, type(error.__context__).__name__]
"""


@each_scheme
def test_ctrl_c_while_on_wait_raises_is_raised_there_and_not_by_a_later_call(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    lock.acquire()
    with Signalled(lock.path, scheme=scheme) as child:
        child.ask(BOTH)
        for wait in ("telling.acquire()", "pathlock.acquire_all([telling])"):
            said = child.ask(f"raised(lambda: {wait})")
            later = child.ask("raised(lambda: lock.acquire(0))")
            assert later[0] == "AlreadyLocked", f"{wait} raises {said}, and a later call what is not its own"
            assert "KeyboardInterrupt" in said, f"Ctrl-C is not lost: {wait} raises {said}"


ALARMS = """
def alarms(count, step):
    # The outcomes of waits into which an alarm comes ever later.
    when(signal.SIGALRM, stop)
    outcomes = set()
    for turn in range(1, count + 1):
        begun = time.monotonic()
        try:
            signal.setitimer(signal.ITIMER_REAL, turn * step)
            lock.acquire(timeout=10)
        except Stop:
            # One that the wait has missed comes when it looks at the lock again, or its time is up.
            late = time.monotonic() - begun
            outcomes.add("in time" if late < 1.5 else f"alarm {turn} has come after {late} s")
    return sorted(outcomes)
"""


@each_scheme
def test_an_alarm_at_any_moment_ends_the_wait(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    lock.acquire()
    with Signalled(lock.path, scheme=scheme) as child:
        child.ask(ALARMS)
        assert child.ask("alarms(1000, 0.8e-6)") == ["in time"], "each of them ends its wait"


RACE = """
armed = False

def maybe_stop():
    if armed:
        raise Stop

def race():
    global armed
    try:
        armed = True
        lock.acquire()
        armed = False
    except Stop:
        armed = False
"""


@each_scheme
def test_a_signal_at_the_moment_of_the_hand_over_loses_no_lock(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    with Signalled(lock.path, scheme=scheme) as child:
        child.ask(RACE)
        child.ask("when(signal.SIGUSR1, maybe_stop)")
        for turn in range(40):
            guard = lock.acquire(PATIENCE)
            child.begin("race()")
            steps = [guard.release, lambda: child.send(signal.SIGUSR1)]
            for step in steps if turn % 2 else reversed(steps):
                step()
            child.answer()
            acquired = child.ask("lock.acquired")
            # The kernel may give it for a moment to a call that nobody waits for any more.
            eventually(lambda: lock.is_locked() == acquired, f"turn {turn}: who does not know of it does not keep it")
            if acquired:
                child.ask("lock.release()")


@each_scheme
def test_ctrl_c_goes_to_the_main_thread_and_leaves_the_waits_of_others_alone(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    lock.acquire()
    with Signalled(lock.path, scheme=scheme) as child:
        child.ask("waits, ended = threading.Event(), threading.Event()")
        child.ask("lock = pathlock.Lock(lock.path, scheme=lock.scheme, on_wait=lambda event: waits.set())")
        child.ask("acquire = lambda: (lock.acquire(), ended.set())")
        child.ask("threading.Thread(target=acquire, daemon=True).start()")
        child.ask(f"waits.wait({PATIENCE})")
        child.begin("interrupted(ended.wait)")
        child.send(signal.SIGINT)
        assert child.answer(), "the main thread is interrupted"
        assert not child.ask("ended.is_set() or lock.acquired"), "the other waits still"
        lock.release()
        assert child.ask(f"ended.wait({PATIENCE}) and lock.acquired"), "and gets it"


@each_scheme
def test_a_wait_holds_no_gil(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    in_thread(lock.acquire).result(PATIENCE)
    begun = threading.Event()

    def work():
        assert begun.wait(PATIENCE), "the wait begins"
        done = sum(1 for _ in range(100_000))
        lock.release()  # Without the GIL, nobody would ever come here.
        return done

    waiting = pathlock.Lock(lock.path, scheme=scheme, on_wait=lambda event: begun.set())
    for wait in (waiting.acquire, lambda: pathlock.acquire_all([waiting]).close(), waiting.__enter__):
        worked = in_thread(work)
        wait()
        assert worked.result(PATIENCE) == 100_000, "another thread has worked meanwhile"
        if waiting.acquired:
            waiting.release()
        begun.clear()
        in_thread(lock.acquire).result(PATIENCE)
    begun.set()
    worked = in_thread(work)
    waiting.wait_free()
    assert worked.result(PATIENCE) == 100_000, "also while one waits and takes nothing"

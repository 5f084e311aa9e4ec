"""The faults of lockfile 0.12.2 in waiting. The names of the tests begin with the fault's."""

import threading
import time

from scenario import PATIENCE, Holder, attempt, once_it_waits, outcome, scenario

ALL = ("link", "symlink", "mkdir", "pid", "sqlite")


def timed(action):
    began = time.monotonic()
    value = action()
    return value, time.monotonic() - began


def clock(*times):
    """Has `time.time()` tell these times, and then the last of them for ever."""
    left = list(times)
    time.time = lambda: left.pop(0) if len(left) > 1 else left[0]


@scenario(*ALL, bites="AssertionError: a clock that is set forward cut the wait short")
def test_c6_a_step_of_the_clock_changes_no_wait(place):
    now = time.time()
    with place.held():
        lock = place.lock()
        clock(now, now + 3600)
        got, waited = timed(lambda: attempt(lock, 0.2))
        assert waited >= 0.2, f"a clock that is set forward cut the wait short: {got} after {waited} s"
        assert got == "LockTimeout", f"the lock is held: {got}"
        clock(now, now - 3600)
        got, waited = timed(lambda: attempt(lock, 0.2))
        assert got == "LockTimeout", f"the lock is held: {got}"
        assert 0.2 <= waited < PATIENCE, f"a clock that is set back drew the wait out: {waited} s"


@scenario("link", "symlink", "pid", bites="AssertionError: it tried to sleep for less than no time: ValueError")
def test_c5_a_negative_timeout_answers_at_once_whatever_the_clock_says(place):
    with place.held():
        clock(1e9)
        got = attempt(place.lock(), -1)
        assert got == "AlreadyLocked", f"it tried to sleep for less than no time: {got}"


@scenario(*ALL, bites="AssertionError: it slept on")
def test_c7_a_long_wait_ends_as_soon_as_the_lock_is_free(place):
    with place.held() as holder:
        lock = place.lock()
        once_it_waits(holder.let_go)
        got = attempt(lock, 10)
        late = time.monotonic() - holder.released_at
        assert got == "done", f"the lock was released: {got}"
        # lockfile 0.12.2 looks every second.
        assert late < 0.5, f"it slept on for {late} s when the lock was free"


@scenario("link", "pid", bites="AssertionError: a timeout of 0 took")
def test_c42_a_timeout_of_zero_answers_at_once_though_the_clock_has_not_ticked(place):
    with place.held():
        lock = place.lock()
        times = []
        for _ in range(5):
            clock(1e9, 1e9, 1e9 + 1)
            got, waited = timed(lambda: attempt(lock, 0))
            assert got == "AlreadyLocked", f"the lock is held: {got}"
            times.append(waited)
        # The least of them says nothing of the machine's load.
        assert min(times) < 0.1, f"a timeout of 0 took {min(times)} s"


@scenario("pid", kept="python-daemon and Airflow rely on it")
def test_p8_a_pid_lock_without_a_timeout_answers_at_once_as_programs_rely_on(place):
    with place.held():
        got = outcome(place.lock().acquire)
        assert got == "AlreadyLocked", f"without a timeout it does not wait: {got}"


@scenario("pid", bites="AssertionError: it can't be entered again: AlreadyLocked")
def test_p8b_a_pid_lock_can_be_entered_again_like_the_others(place):
    lock = place.lock()
    lock.acquire()
    got = attempt(lock, 0)
    assert got == "done", f"it can't be entered again: {got}"
    lock.release()
    assert not lock.is_locked(), "as with the others no counter is kept, and one release frees it"


@scenario(*ALL, bites="AssertionError: the waiter had no turn")
def test_x43_a_holder_that_comes_back_at_once_does_not_starve_a_waiter(place):
    waits, had_its_turn = threading.Event(), threading.Event()

    def wait():
        waiter = place.lock()
        # lockfile 0.12.2 looks every half minute.
        if attempt(waiter, 300) == "done":
            had_its_turn.set()
            waiter.release()

    lock = place.lock()
    lock.acquire()
    certainly = once_it_waits(waits.set)
    threading.Thread(target=wait, daemon=True).start()
    assert waits.wait(PATIENCE), "the lock is held, and the other thread waits"
    turns, until = 0, time.monotonic() + PATIENCE
    while not had_its_turn.is_set() and (turns < 100 or (not certainly and time.monotonic() < until)):
        turns += 1
        lock.release()
        got = attempt(lock, PATIENCE)
        assert got == "done", f"the waiter lets go when it has had its turn: {got}"
    assert had_its_turn.is_set(), f"the waiter had no turn, while the holder had {turns}"


@scenario(*ALL, bites="AssertionError: its own timeout can't be overridden: LockTimeout")
def test_x44_the_timeout_of_a_lock_can_be_overridden_with_for_ever(place):
    holder = Holder(place)
    # A wait without a deadline polls every 0.1 s in lockfile 0.12.2, the lock's own every 0.005 s.
    once_it_waits(holder.let_go, period=0.1)
    # By lockfile's interface None says that no timeout is given. That is kept: programs pass on their own default.
    lock = place.native(timeout=0.05)
    got = outcome(lambda: lock.acquire(timeout=None))
    assert got == "done", f"its own timeout can't be overridden: {got}"

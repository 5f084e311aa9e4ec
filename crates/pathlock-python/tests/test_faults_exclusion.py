"""The faults of lockfile 0.12.2 by which two hold one lock. The names of the tests begin with the fault's."""

import contextlib
import os
import threading

from scenario import (
    PATIENCE,
    Child,
    another_process,
    attempt,
    in_a_child,
    in_a_thread,
    once_it_waits,
    outcome,
    scenario,
)


@scenario("link", "symlink", "mkdir", bites="AssertionError: the child got what its parent holds")
def test_f1_a_forked_child_does_not_acquire_what_its_parent_holds(place):
    lock = place.lock()
    lock.acquire()
    got = in_a_child(lambda: attempt(lock, 0))
    assert got == "AlreadyLocked", f"the child got what its parent holds: {got}"


@scenario("link", "symlink", "mkdir", bites="AssertionError: the child freed the lock")
def test_f1b_a_forked_child_does_not_release_what_its_parent_holds(place):
    lock = place.lock()
    lock.acquire()
    released = in_a_child(lambda: outcome(lock.release))
    assert lock.is_locked(), f"the child freed the lock of its parent: {released}"
    assert released == "NotMyLock", f"the child is not told that the lock is its parent's: {released}"
    assert lock.i_am_locking(), "the parent no longer holds what it acquired"
    lock.release()


@scenario("link", "symlink", "mkdir", bites="AssertionError: both threads hold it")
def test_t1_a_second_thread_does_not_acquire_what_the_first_holds_through_the_same_object(place):
    lock = place.lock()
    lock.acquire()
    got = in_a_thread(lambda: attempt(lock, 0))
    assert got == "AlreadyLocked", f"both threads hold it: {got}"


@scenario("link", "symlink", "mkdir", bites="AssertionError: both threads hold it")
def test_t2_with_threaded_false_a_second_thread_does_not_acquire(place):
    lock = place.lock(threaded=False)
    lock.acquire()
    got = in_a_thread(lambda: attempt(place.lock(threaded=False), 0))
    assert got == "AlreadyLocked", f"both threads hold it: {got}"


@scenario("link", "symlink", "mkdir", bites="AssertionError: both objects hold it")
def test_l28_a_second_object_in_one_thread_does_not_acquire(place):
    first, second = place.lock(), place.lock()
    first.acquire()
    got = attempt(second, 0)
    assert got == "AlreadyLocked", f"both objects hold it: {got}"
    got = attempt(second, PATIENCE)
    assert got == "LockFailed", f"a wait for oneself would never end, and is refused at once: {got}"
    first.release()
    assert attempt(second, 0) == "done", "the lock is free again"


def back_up(place):
    """What a program does that saves space: a second name for every file."""
    os.makedirs(place.join("backup"), exist_ok=True)
    for name in place.names():
        if os.path.isfile(place.join(name)):
            os.link(place.join(name), place.join("backup", name))


@scenario("link", bites="AssertionError: a backup handed the lock")
def test_l32_a_backup_made_of_hard_links_does_not_hand_the_lock_to_a_waiter(place):
    with place.held():
        waiter = place.lock()
        once_it_waits(lambda: back_up(place))
        got = attempt(waiter, 0.5)
        assert got == "LockTimeout", f"a backup handed the lock to a waiter: {got}"


@scenario("link", bites="AssertionError: a backup took the lock")
def test_l32b_a_backup_made_of_hard_links_does_not_take_the_lock_from_its_holder(place):
    lock = place.lock()
    lock.acquire()
    back_up(place)
    assert lock.i_am_locking(), "a backup took the lock from its holder"
    lock.release()
    assert not lock.is_locked(), "the holder has released it"


@scenario("link", "symlink", "mkdir", bites="AssertionError: both processes hold it")
def test_l33_two_processes_with_one_host_and_pid_are_two_owners(place):
    def in_a_container():
        os.getpid = lambda: 7

    # Forked from one process, their hashes are salted alike, as with a fixed PYTHONHASHSEED.
    with another_process(place, in_a_container) as first, another_process(place, in_a_container) as second:
        assert first.do("acquire") == "done", "the lock is free"
        got = second.do("acquire", 0)
        assert got == "AlreadyLocked", f"both processes hold it: {got}"


@scenario("link", bites="AssertionError: the old owner's release freed the lock of the new one")
def test_l3_releasing_a_broken_lock_does_not_free_the_lock_of_the_next_owner(place):
    with another_process(place) as first:
        assert first.do("acquire") == "done", "the lock is free"
        second = place.lock()
        second.break_lock()
        second.acquire(timeout=0)
        released = first.do("release")
        assert second.is_locked(), f"the old owner's release freed the lock of the new one: {released}"
        assert second.i_am_locking(), "the new owner has lost nothing"
        assert released in ("NotMyLock", "NotLocked"), f"the old owner is not told: {released}"


@scenario("link", "symlink", "mkdir", "pid", bites="AssertionError: two hold it")
def test_l31_of_two_who_timed_out_and_break_the_lock_only_one_holds_it(place):
    with another_process(place) as holder, another_process(place) as b, another_process(place) as c:
        assert holder.do("acquire") == "done", "the lock is free"
        for waiter in (b, c):
            assert waiter.do("acquire", 0.01) == "LockTimeout", "the lock is held"
        broken, got = b.do("break_lock"), b.do("acquire", 0.01)
        assert got == "done", f"the first to time out breaks the lock that it waited for: {broken}, {got}"
        c.do("break_lock")
        got = c.do("acquire", 0.01)
        assert got == "LockTimeout", f"two hold it, for the second broke a lock that it had never seen: {got}"
        assert b.do("i_am_locking") is True, "the one who acquired it holds it"


def break_and_acquire(rival):
    """What comes of it; a break that is refused is nobody's loss."""
    outcome(rival.break_lock)
    return attempt(rival, 0)


def is_left_to_a_rival_that_comes_during_a_release(place):
    def role(parent):
        lock = place.lock()
        lock.acquire()
        parent.hold_calls("remove", "rename")
        parent.say(outcome(lock.release))

    with Child(role) as child:
        assert child.held_call(), "a release removes something"
        rival = place.lock()
        got = break_and_acquire(rival)
        released = child.hear()
        holds = rival.i_am_locking()
        assert got != "done" or holds, f"the release removed the lock of a rival: {released}"
        if not holds:
            assert attempt(rival, 0) == "done", "the lock was released"


@scenario("symlink", bites="AssertionError: the release removed the lock of a rival")
def test_s37_a_release_does_not_remove_the_link_that_a_rival_made_meanwhile(place):
    is_left_to_a_rival_that_comes_during_a_release(place)


@scenario("pid", bites="AssertionError: the release removed the lock of a rival")
def test_p38_a_release_does_not_remove_the_pid_file_that_a_rival_made_meanwhile(place):
    is_left_to_a_rival_that_comes_during_a_release(place)


@scenario("mkdir", bites="AssertionError: both hold it")
def test_m40_of_two_who_make_the_directory_by_turns_only_one_holds_it(place):
    def role(parent):
        lock = place.lock()
        parent.hold_calls("mkdir", "create", "rename")
        parent.say(attempt(lock, 0))
        parent.say(lock.i_am_locking())

    # The rival comes before the first, the second, … call that makes something.
    for calls in range(1, 20):
        with Child(role) as child:
            if not all(child.held_call() for _ in range(calls)):
                assert calls > 1, "to acquire the lock makes something"
                break
            rival = place.lock()
            got = break_and_acquire(rival)
            child_got, child_holds = child.hear(), child.hear()
            both = got == "done" and rival.i_am_locking() and (child_got == "done" or child_holds)
            assert not both, f"both hold it, when the rival comes before call {calls}"
            assert "done" in (got, child_got), f"nobody holds it: {got}, {child_got}"
        outcome(rival.release)


@scenario("sqlite", bites="AssertionError: both processes hold it")
def test_q19_two_processes_exclude_each_other(place):
    with another_process(place) as first:
        assert first.do("acquire") == "done", "the lock is free"
        got = attempt(place.lock(), 0)
        assert got == "AlreadyLocked", f"both processes hold it: {got}"


@scenario("sqlite", bites="AssertionError: not one of two threads")
def test_q20_of_two_threads_that_find_the_lock_free_one_acquires_it(place):
    # It makes the database, so that the two do not meet over that.
    locks, both_have_looked = [place.lock()], threading.Barrier(2)

    def acquire():
        lock = place.lock()
        locks.append(lock)
        look = lock.is_locked

        def look_and_wait_for_the_other():
            locked, lock.is_locked = look(), look
            with contextlib.suppress(threading.BrokenBarrierError):
                both_have_looked.wait(PATIENCE)
            return locked

        lock.is_locked = look_and_wait_for_the_other
        got.append(attempt(lock, 0))

    got = []
    threads = [threading.Thread(target=acquire, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(got) == ["AlreadyLocked", "done"], f"not one of two threads holds it: {got}"


@scenario("mkdir", bites="AssertionError: two owners have one name")
def test_b51_owners_whose_names_read_the_same_are_two(place):
    def known_as(thread, pid):
        def prepare():
            os.getpid = lambda: pid
            threading.get_ident = lambda: thread

        return prepare

    # lockfile writes the thread, in hexadecimal, and the pid with nothing between them: "-7f123" names both.
    with another_process(place, known_as(0x7F1, 23)) as first, another_process(place, known_as(0x7F12, 3)) as second:
        assert first.do("acquire") == "done", "the lock is free"
        got = second.do("acquire", 0)
        assert got == "AlreadyLocked", f"two owners have one name, and both hold it: {got}"

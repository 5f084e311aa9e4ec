"""The faults of lockfile 0.12.2 by which a lock is stuck. The names of the tests begin with the fault's."""

import contextlib
import errno
import gc
import os
import pathlib
import resource
import sys

from scenario import Child, another_process, attempt, in_a_child, in_a_thread, outcome, scenario


@contextlib.contextmanager
def limited(kind, most):
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


@scenario("link", "symlink", "mkdir", "pid", bites="AssertionError: the dead keep it")
def test_x13_a_holder_that_was_killed_blocks_nobody(place):
    holder = another_process(place)
    assert holder.do("acquire") == "done", "the lock is free"
    holder.kill()
    got = attempt(place.lock(), 0)
    assert got == "done", f"the dead keep it: {got}"


@scenario("link", bites="AssertionError: it waits where no link can be made: LockTimeout")
def test_l4_where_no_hard_link_can_be_made_acquiring_fails_at_once_and_says_so(place):
    def role(parent):
        lock = place.lock()
        parent.hold_calls("link")
        try:
            lock.acquire(timeout=0.1)
        except Exception as error:
            parent.say((type(error).__name__, getattr(error, "errno", None)))

    # What vfat says, and what the kernel says of other users' files with `protected_hardlinks`.
    with Child(role) as child:
        while call := child.held_call():
            call.fail(errno.EPERM)
        got, why = child.hear()
    assert got == "LockFailed", f"it waits where no link can be made: {got}"
    assert why == errno.EPERM, f"the system's reason is kept: {why}"


@scenario("symlink", bites="AssertionError: it waits for a directory that is not there: LockTimeout")
def test_s4_where_no_symbolic_link_can_be_made_acquiring_fails_at_once_and_says_so(place):
    got = attempt(place.lock(place.join("missing", "res")), 0.1)
    assert got == "LockFailed", f"it waits for a directory that is not there: {got}"
    got = attempt(place.lock("/proc/res"), 0)
    assert got == "LockFailed", f"it says that a lock is held where none can be: {got}"


@scenario("link", "mkdir", bites="AssertionError: it waits for a user's file: LockTimeout")
def test_l18_a_users_file_that_is_called_like_the_lock_is_no_lock_and_stays(place):
    content = '[[package]]\nname = "12"\n'
    if place.backend == "mkdir":
        os.mkdir(place.lock_file)
        file = pathlib.Path(place.lock_file, "poetry.txt")
    else:
        file = pathlib.Path(place.lock_file)
    file.write_text(content)
    lock = place.lock()
    got, broken = attempt(lock, 0.05), outcome(lock.break_lock)
    assert got == "LockFailed", f"it waits for a user's file: {got}"
    assert file.exists(), f"to break the lock removed a user's file: {broken}"
    assert file.read_text() == content, "it is as it was"


@scenario("pid", bites="AssertionError: a write that failed left a lock")
def test_p9_a_pid_that_cannot_be_written_leaves_no_lock_behind(place):
    lock = place.lock()
    with limited(resource.RLIMIT_FSIZE, 0):
        got = attempt(lock, 0)
    assert got == "LockFailed", f"not one byte can be written: {got}"
    assert not lock.is_locked(), "a write that failed left a lock that nobody holds"
    assert attempt(lock, 0) == "done", "the lock is free"


@scenario("pid", bites="AssertionError: it is said to be free, and can't be acquired")
def test_p11_a_dangling_link_in_the_place_of_the_pid_file_is_seen_and_met_alike(place):
    os.symlink(place.join("nowhere"), place.path)
    lock = place.lock()
    got, locked = attempt(lock, 0), lock.is_locked()
    assert locked or got == "done", f"it is said to be free, and can't be acquired: {got}"
    assert not os.path.exists(place.join("nowhere")), "nothing is made at the other end"
    os.unlink(place.path)
    assert attempt(lock, 0) == "done", "once the link is gone the lock is free"


@scenario("mkdir", bites="AssertionError: a stray file made the release fail: OSError")
def test_m15_a_stray_file_in_the_directory_does_not_keep_the_lock_from_being_released(place):
    lock = place.lock()
    lock.acquire()
    pathlib.Path(place.lock_file, ".DS_Store").write_text("precious")
    released = outcome(lock.release)
    assert released == "done", f"a stray file made the release fail: {released}"
    assert not lock.is_locked(), "it was released"
    assert attempt(lock, 0) == "done", "it can be acquired again"
    kept = [file.read_text() for file in pathlib.Path(place.directory).rglob(".DS_Store")]
    assert kept == ["precious"], "what is not the lock's is not removed"


@scenario("mkdir", bites="AssertionError: with 0 descriptors it ends with OSError")
def test_m16_running_out_of_descriptors_leaves_no_lock_behind(place):
    lock = place.lock()
    lock.acquire()
    lock.release()
    with open(os.devnull) as file:
        lowest = file.fileno()
    for spare in range(12):
        with limited(resource.RLIMIT_NOFILE, lowest + spare):
            got = attempt(lock, 0)
        assert got in ("done", "LockFailed"), f"with {spare} descriptors it ends with {got}"
        if got == "done":
            lock.release()
        assert place.names() == [], f"with {spare} descriptors something is left: {place.names()}"


@scenario("link", bites="AssertionError: a release that failed left a lock")
def test_l36_a_release_that_fails_half_way_leaves_no_lock_that_nobody_can_release(place):
    def role(parent):
        lock = place.lock()
        lock.acquire()
        parent.hold_calls("remove", "rename")
        parent.say((outcome(lock.release), outcome(lock.release)))
        parent.hear()

    # The first, the second, … call that removes something fails; the release is tried again.
    for failing in range(1, 10):
        with Child(role) as child:
            calls = [child.held_call() for _ in range(failing)]
            if calls[-1] is None:
                assert failing > 1, "a release removes something"
                break
            calls[-1].fail(errno.EIO)
            released = child.hear()
            next_owner = place.lock()
            got = attempt(next_owner, 0)
            assert got == "done", f"a release that failed left a lock that nobody can release: {released}, {got}"
            next_owner.release()


@scenario("mkdir", bites="AssertionError: nobody owns what was made")
def test_nfs_m_a_lock_that_was_made_though_the_server_said_it_existed_has_an_owner(place):
    def role(parent):
        lock = place.lock()
        parent.hold_calls("mkdir", "rename")
        parent.say(attempt(lock, 0))

    # There is no NFS here: the parent is the server whose first reply is lost, and that answers the second
    # request for the lock's name with EEXIST.
    with Child(role) as child:
        while call := child.held_call():
            paths = call.paths()
            if paths[-1] == place.lock_file:
                make = os.rename if len(paths) == 2 else os.mkdir
                make(*paths)
                call.fail(errno.EEXIST)
        got = child.hear()
    got = attempt(place.lock(), 0) if got != "done" else got
    assert got == "done", f"nobody owns what was made, and nobody can acquire it: {got}"


KEPT = []


@scenario("link", "symlink", "mkdir", "pid", "sqlite", bites="AssertionError: the lock is left: AlreadyLocked")
def test_x41_a_program_that_ends_without_a_release_leaves_no_lock(place):
    if place.backend == "sqlite":
        # lockfile 0.12.2 has one database for several processes in its tests only; and whoever makes it, removes it
        # at its exit, with the locks of all others.
        place.lock_class.testdb = place.join("locks.db")
        in_a_child(lambda: outcome(place.lock))
    if os.fork() == 0:
        KEPT.append(place.lock())
        KEPT[0].acquire(timeout=0)
        sys.exit("an exception that nobody handles")
    _, status = os.wait()
    assert os.waitstatus_to_exitcode(status) == 1, "the program has acquired the lock and ended by itself"
    left = place.names()
    got = attempt(place.lock(), 0)
    assert got == "done", f"the lock is left: {got}"
    assert left == [] or place.backend == "sqlite", f"not for the next one to find out, but at the exit: {left}"


@scenario("link", "symlink", "mkdir", "pid", "sqlite", bites="AssertionError: the lock is left: AlreadyLocked")
def test_x41_a_lock_that_an_exception_throws_away_is_released(place):
    def job():
        lock = place.native()
        lock.acquire(timeout=0)
        raise ValueError("the job fails")

    assert in_a_thread(lambda: outcome(job)) == "ValueError", "the job has acquired the lock and failed"
    gc.collect()
    got = attempt(place.lock(), 0)
    assert got == "done", f"the lock is left: {got}"

"""Processes and threads that want the same lock: never two inside at once, whatever starts them and however they end."""

import concurrent.futures
import multiprocessing
import os
import random
import signal
import time

import pathlock
import pytest
from worlds import PATIENCE, SLOTS, Other, Waiter, done_in_thread, each_scheme, in_thread, one_of

each_method = pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())


def turns(lock, audit, count):
    """Takes the lock so often, and each time makes and removes a directory that only one can make."""
    for _ in range(count):
        with lock:
            os.mkdir(audit)
            os.sched_yield()
            os.rmdir(audit)
    return os.getpid()


def arrived(lock, pipe):
    """What a process that is given a lock can say of it; then it takes the lock and waits to be killed."""
    pipe.send((lock.acquired, lock.is_locked(), lock.try_acquire() is None, lock.path, lock.scheme, lock.timeout))
    lock.acquire(timeout=PATIENCE)
    pipe.send(lock.owner.pid == os.getpid())
    signal.pause()


def start(method, work, *arguments):
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def said(pipe):
    assert pipe.poll(PATIENCE), "it says something"
    return pipe.recv()


@each_method
@each_scheme
def test_a_lock_that_is_given_to_a_process_arrives_unlocked_and_excludes(method, scheme, tmp_path):
    if method != "fork" and scheme not in ("link", "sqlite"):
        return  # What is sent does not depend on the scheme, and starting takes a while.
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, timeout=0.5)
    with lock:
        process, pipe = start(method, arrived, lock)
        try:
            assert said(pipe) == (False, True, True, lock.path, scheme, 0.5), "it holds nothing, and gets nothing"
            assert lock.acquired, "it is held here still"
            lock.release()
            assert said(pipe) is True, "then it has it"
            assert lock.try_acquire() is None, "and keeps the first out"
        finally:
            process.kill()
        process.join(PATIENCE)
        with lock.acquire(timeout=0) as guard:
            assert guard.valid, "it was killed, and the next has the lock without a wait"


@each_method
@each_scheme
def test_a_pool_of_workers_is_never_inside_together(method, scheme, tmp_path):
    if method != "fork" and scheme != "link":
        return  # As above.
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    context = multiprocessing.get_context(method)
    with context.Pool(4) as pool:
        jobs = [pool.apply_async(turns, (lock, tmp_path / "audit", 50)) for _ in range(8)]
        workers = {job.get(PATIENCE) for job in jobs}
    assert os.getpid() not in workers, "it was others who did the work"
    assert not lock.is_locked(), "all have let go"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_of_futures_shares_a_lock_with_its_parent(method, tmp_path):
    lock = pathlock.Lock(tmp_path / "job")
    audit = tmp_path / "audit"
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        jobs = [pool.submit(turns, lock, audit, 60) for _ in range(2)]
        turns(lock, audit, 60)
        for job in jobs:
            assert job.result(PATIENCE) != os.getpid(), "another process has had its turns"
    assert not lock.is_locked(), "all have let go"


@each_scheme
@pytest.mark.parametrize("objects", ["one", "own"])
def test_threads_are_never_inside_together(objects, scheme, tmp_path):
    shared = pathlock.Lock(tmp_path / "job", scheme=scheme)

    def work():
        lock = shared if objects == "one" else pathlock.Lock(tmp_path / "job", scheme=scheme)
        turns(lock, tmp_path / "audit", 30)

    for outcome in [in_thread(work) for _ in range(6)]:
        outcome.result(PATIENCE)
    assert not shared.is_locked() and not shared.acquired, "all have let go"


@one_of(SLOTS)
def test_no_more_threads_are_inside_than_there_are_slots(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme, slots=3)

    def work():
        for _ in range(30):
            with lock as guard:
                # Each slot is one thread's alone.
                os.mkdir(tmp_path / f"audit-{guard.slot}")
                os.sched_yield()
                os.rmdir(tmp_path / f"audit-{guard.slot}")

    for outcome in [in_thread(work) for _ in range(6)]:
        outcome.result(PATIENCE)
    assert lock.status().slots_taken == 0, "all have let go"


@each_scheme
def test_readers_and_writers_of_several_processes_are_kept_apart(scheme, tmp_path):
    if scheme in ("link", "symlink", "pid"):
        return  # They have no readers.
    audit = tmp_path / "audit"
    reader = pathlock.Lock(tmp_path / "job", scheme=scheme, shared=True)
    writer = pathlock.Lock(tmp_path / "job", scheme=scheme)
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        jobs = [pool.apply_async(turns, (writer, audit, 30)) for _ in range(2)]
        jobs += [pool.apply_async(looks, (reader, audit, 30)) for _ in range(2)]
        seen = [job.get(PATIENCE) for job in jobs][2:]
    assert seen == [0, 0], "no reader has met a writer at work"


def looks(lock, audit, count):
    seen = 0
    for _ in range(count):
        with lock:
            seen += os.path.exists(audit)
    return seen


def sign(lock, path, pipe):
    """Takes the lock again and again, and signs each time; two signatures at once would be two inside."""
    mine = str(os.getpid())
    while True:
        with lock:
            try:
                os.symlink(mine, path)
            except FileExistsError:
                other = os.readlink(path)
                if is_running(int(other)):
                    pipe.send(f"{mine} has met {other}")
                    return
                # It was killed in here.
                os.unlink(path)
                os.symlink(mine, path)
            os.sched_yield()
            os.unlink(path)
        pipe.send("a turn")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@each_scheme
def test_workers_that_are_killed_at_any_moment_let_nobody_else_in_and_keep_nobody_out(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    chance = random.Random(scheme)
    workers = [start("fork", sign, lock, tmp_path / "signature") for _ in range(3)]
    try:
        for _ in range(15):
            for _, pipe in workers:
                assert said(pipe) == "a turn", "everybody has a turn in the end"
                while pipe.poll():
                    assert pipe.recv() == "a turn", "alone"
            killed = chance.randrange(len(workers))
            workers[killed][0].kill()
            workers[killed][0].join(PATIENCE)
            workers[killed] = start("fork", sign, lock, tmp_path / "signature")
    finally:
        for process, _ in workers:
            process.kill()
            process.join(PATIENCE)
    with lock.acquire(timeout=0) as guard:
        assert guard.valid, "all are dead, and the next has it without a wait"


@each_scheme
def test_who_waits_gets_the_lock_of_a_killed_worker_at_once(scheme, tmp_path):
    taken = []
    for _ in range(4):
        with Other(tmp_path / "job", scheme=scheme) as other:
            other.ask("guard = lock.acquire()")
            waiter = Waiter(tmp_path / "job", scheme=scheme)
            killed = time.monotonic()
            other.kill()
            waiter.guard()
            taken.append(time.monotonic() - killed)
            waiter.lock.release()
    assert min(taken) < 0.1, f"it does not look for it now and then: {taken}"


@each_scheme
def test_a_thread_that_ends_with_the_lock_held_does_not_release_it(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    guard = done_in_thread(lock.acquire)
    assert guard.valid and lock.try_acquire() is None, "the thread has ended, and the object holds it"
    lock.release()
    assert not lock.is_locked(), "any thread can release it"

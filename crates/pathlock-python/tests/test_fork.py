"""Fork: a child holds nothing of its parent's, until it adopts it."""

import os
import signal

import pathlock
import pytest
from children import PATIENCE, until_asleep
from worlds import Other, Waiter, each_scheme, files

CODE = """
import asyncio, contextlib, gc, signal

def leaves(entered):
    # What a forked child raises when it leaves a block that its parent has entered.
    heard, told = os.pipe()
    child = None
    try:
        with entered() as guard:
            child = os.fork()
            if child:
                os.close(told)
                said = os.read(heard, 100).decode()
                os.waitpid(child, 0)
                assert guard.valid, "the parent holds it still"
    except BaseException as error:
        if child != 0:
            raise
        os.write(told, type(error).__name__.encode())
        os._exit(0)
    if child == 0:
        os._exit(0)
    return said

def child_that(does):
    # A forked child, and where it says what came of it.
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            says = does()
        except BaseException as error:
            says = repr(error)
        os.write(told, f"{says}\\n".encode())
        signal.pause()
    os.close(told)
    return child, os.fdopen(heard)

def close_all_but(*kept):
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2 and fd not in kept:
            with contextlib.suppress(OSError):  # That of the listing is closed by now.
                os.close(fd)

def child_that_adopts(closes):
    # A forked child that adopts the lock, and releases it when it is ordered to; and where it says how that went.
    ordered, orders = os.pipe()
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if closes:  # As a daemon does, which knows nothing of the files of libraries.
                close_all_but(ordered, told)
            guard.adopt()
            os.write(told, f"{[guard.valid, guard.inherited, lock.acquired, lock.is_locked()]}\\n".encode())
            os.read(ordered, 1)
            lock.release()
            os.write(told, f"{[guard.valid, lock.acquired]}\\n".encode())
        except BaseException as error:
            os.write(told, f"{error!r}\\n".encode())
        os._exit(0)
    os.close(told)
    return child, orders, os.fdopen(heard)
"""


def forking(path, **options):
    other = Other(path, **options)
    other.ask(CODE)
    return other


@each_scheme
def test_a_forked_child_holds_nothing_of_its_parents(scheme, tmp_path):
    with forking(tmp_path / "job", scheme=scheme) as parent:
        parent.ask("guard = lock.acquire()")
        said = parent.ask("forked('[lock.acquired, guard.valid, guard.inherited, lock.is_locked()]')")
        assert said == {"value": [False, False, True, True]}, "it has nothing, and sees that it is locked"
        assert parent.ask("[lock.acquired, guard.valid, guard.inherited]") == [True, True, False], "the parent has it"
        assert parent.ask("forked('lock.owner.pid == os.getppid()')") == {"value": True}, "it sees by whom"


@each_scheme
@pytest.mark.parametrize("release", ["lock.release()", "guard.release()"])
def test_the_release_of_a_forked_child_raises_not_my_lock(scheme, release, tmp_path):
    with forking(tmp_path / "job", scheme=scheme) as parent:
        parent.ask("guard = lock.acquire()")
        for _ in range(2):
            said = parent.ask(f"forked('{release}')")
            assert said.get("raised") == "NotMyLock", f"it is the parent's: {said}"
            assert parent.ask("guard.valid"), "the parent holds it still"
        parent.ask("lock.release()")
        assert not pathlock.status(tmp_path / "job", scheme=scheme).locked, "the parent can release it"


@each_scheme
def test_what_a_forked_child_throws_away_stays_its_parents(scheme, tmp_path):
    with forking(tmp_path / "job", scheme=scheme) as parent:
        parent.ask("guard = lock.acquire()")
        for throws in ("del guard, lock; gc.collect()", "guard.forget()", "None"):
            assert "raised" not in parent.ask(f"forked({throws!r})"), "it says nothing, and exits as any program"
            assert parent.ask("guard.valid"), "the parent holds it still"
            assert pathlock.status(tmp_path / "job", scheme=scheme).owner.pid == parent.pid, "and everybody can see it"


@each_scheme
def test_a_forked_child_leaves_the_blocks_of_its_parent_without_a_word(scheme, tmp_path):
    with forking(tmp_path / "job", scheme=scheme) as parent:
        for entered in ("lambda: lock", "lock.acquire", "lambda: pathlock.Lock(lock.path, scheme=lock.scheme)"):
            assert parent.ask(f"leaves({entered})") == "", f"{entered}: its end does nothing in the child"
            assert parent.ask("lock.is_locked()") is False, "and releases in the parent"


def test_a_forked_child_leaves_the_block_of_several_locks_without_a_word(tmp_path):
    with forking(tmp_path / "job") as parent:
        # What the block gets is not a guard, but has to answer as one.
        parent.ask("class Stack(contextlib.ExitStack): valid = property(lambda self: lock.is_locked())")
        assert (
            parent.ask("leaves(lambda: (stack := Stack(), stack.enter_context(pathlock.acquire_all([lock])))[0])") == ""
        ), "its end does nothing in the child"
        assert parent.ask("lock.is_locked()") is False, "and releases in the parent"


@each_scheme
def test_a_forked_child_is_kept_out_while_its_parent_holds(scheme, tmp_path):
    for reentrant in (False, True):
        with forking(tmp_path / "job", scheme=scheme, reentrant=reentrant, ownership="process") as parent:
            parent.ask("guard = lock.acquire()")
            assert parent.ask("forked('lock.try_acquire() is None')") == {"value": True}, "it gets nothing"
            for timeout, refusal in [(0, "AlreadyLocked"), (0.02, "LockTimeout")]:
                said = parent.ask(f"forked('lock.acquire(timeout={timeout})')")
                assert said.get("raised") == refusal, f"with a timeout of {timeout}: {said}"
            another = f"pathlock.Lock(lock.path, scheme={scheme!r}).try_acquire() is None"
            assert parent.ask(f"forked({another!r})") == {"value": True}, "nor with a lock of its own"


@each_scheme
def test_a_forked_child_acquires_when_its_parent_releases(scheme, tmp_path):
    with forking(tmp_path / "job", scheme=scheme) as parent:
        parent.ask("guard = lock.acquire()")
        parent.ask(
            "child, said = child_that(lambda: (lock.acquire(), lock.acquired, lock.owner.pid == os.getpid())[1:])"
        )
        child = parent.ask("child")
        try:
            until_asleep(child)
            parent.ask("lock.release()")
            assert parent.ask("said.readline()") == "(True, True)\n", "the child has it by the object of its parent"
            assert parent.ask("lock.try_acquire() is None"), "and keeps the parent out"
        finally:
            os.kill(child, signal.SIGKILL)
        parent.ask("os.waitpid(child, 0) and None")
        parent.ask(f"lock.acquire({PATIENCE})")
        assert parent.ask("lock.acquired"), "it dies, and the parent gets it"


# SQLite keeps what it knows of open files in the memory of the process, and a child's copy of that is wrong once the
# child has closed them, or while another thread of the parent changed it ("How To Corrupt An SQLite Database File", 2.6).
FILE_SCHEMES = [scheme for scheme in pathlock.SCHEMES if scheme != "sqlite"]


@pytest.mark.parametrize(
    "scheme, closes",
    [(scheme, False) for scheme in pathlock.SCHEMES] + [(scheme, True) for scheme in FILE_SCHEMES],
)
def test_a_child_that_adopts_a_lock_holds_it_and_its_parent_forgets_it(scheme, closes, tmp_path):
    with forking(tmp_path / "job", scheme=scheme) as parent:
        parent.ask("guard = lock.acquire()")
        parent.ask(f"child, orders, said = child_that_adopts({closes})")
        assert parent.ask("said.readline()") == "[True, False, True, True]\n", "the child holds it"
        assert parent.ask("guard.valid") is False, "the parent does not"
        parent.ask("guard.forget()")
        parent.ask("guard.forget()")  # There is nothing more to forget.
        assert parent.ask("lock.acquired") is False, "nothing is left to it"
        owner = pathlock.status(tmp_path / "job", scheme=scheme).owner
        assert owner.pid == parent.ask("child") and owner.alive, "everybody can see whose it is"
        waiter = Waiter(tmp_path / "job", scheme=scheme)
        parent.ask("os.write(orders, b'!') and None")
        assert parent.ask("said.readline()") == "[False, False]\n", "the child has released it"
        assert waiter.guard().valid, "and the next has it"
        waiter.lock.release()


@each_scheme
def test_the_end_of_the_parent_leaves_the_lock_to_the_child_that_has_adopted_it(scheme, tmp_path):
    with forking(tmp_path / "job", scheme=scheme) as parent:
        parent.ask("guard = lock.acquire()")
        parent.ask("child, said = child_that(lambda: (guard.adopt(), guard.valid)[1])")
        assert parent.ask("said.readline()") == "True\n", "the child has adopted it"
        child = parent.ask("child")
        try:
            parent.end()  # It neither forgets nor releases: it has forked since it acquired.
            status = pathlock.status(tmp_path / "job", scheme=scheme)
            assert status.locked and status.owner.pid == child, "the child has it"
            assert pathlock.Lock(tmp_path / "job", scheme=scheme).try_acquire() is None, "and nobody else"
        finally:
            os.kill(child, signal.SIGKILL)
        with pathlock.Lock(tmp_path / "job", scheme=scheme).acquire(PATIENCE) as guard:
            assert guard.valid, "it dies, and the next has it"


@each_scheme
def test_a_forked_child_uses_locks_of_its_own_as_any_process(scheme, tmp_path):
    (tmp_path / "locks").mkdir()
    with forking(tmp_path / "locks" / "job", scheme=scheme) as parent:
        parent.ask("waits = pathlock.AsyncLock(lock.path + '-2', scheme=lock.scheme)")
        # The parent has threads that wait for it; the child has none of them.
        parent.ask(
            "async def work(lock):\n"
            "    for _ in range(2):\n"
            "        async with lock:\n"
            "            try:\n"
            "                await lock.acquire(timeout=0.01)\n"
            "            except pathlock.LockTimeout:\n"
            "                pass\n"
            "    return lock.acquired\n"
        )
        assert parent.ask("asyncio.run(work(waits))") is False, "the parent has used it"
        for _ in range(2):
            assert parent.ask("forked('asyncio.run(work(waits))')") == {"value": False}, "the child can"
            assert parent.ask("forked('lock.acquire(0) and lock.release()')") == {"value": None}, "and others"
        assert parent.ask("asyncio.run(work(waits))") is False, "and then the parent again"


def test_what_a_task_has_acquired_is_not_a_forked_childs(tmp_path):
    with forking(tmp_path / "job") as parent:
        parent.ask("waits = pathlock.AsyncLock(lock.path)")
        parent.ask("async def acquire(): await waits.acquire()")
        parent.ask("asyncio.run(acquire())")
        assert parent.ask("[waits.acquired, waits.is_locked()]") == [True, True], "the parent has it"
        assert parent.ask("forked('[waits.acquired, waits.is_locked()]')") == {"value": [False, True]}, "the child not"
        assert parent.ask("forked('waits.release()')")["raised"] in ("NotMyLock", "NotLocked"), "it can't release it"
        assert parent.ask("[waits.acquired, waits.is_locked()]") == [True, True], "the parent has it still"
        parent.ask("waits.release()")
    assert files(tmp_path) == [], "and releases it"


@pytest.mark.parametrize("scheme", FILE_SCHEMES)
def test_a_fork_in_the_midst_of_other_threads_locks_leaves_the_child_able_to_lock(scheme, tmp_path):
    with forking(tmp_path / "job", scheme=scheme) as parent:
        parent.ask(
            "def work():\n"
            "    while not over.is_set():\n"
            "        with pathlock.Lock(lock.path, scheme=lock.scheme):\n"
            "            pass\n"
            "def alone():\n"
            "    # What a thread that is not here has locked in memory stays locked for ever.\n"
            "    signal.alarm(20)\n"
            "    with pathlock.Lock(lock.path + '-child', scheme=lock.scheme) as guard:\n"
            "        return guard.valid\n"
        )
        parent.ask("import threading; over = threading.Event()")
        parent.ask("threads = [threading.Thread(target=work) for _ in range(3)]")
        parent.ask("[thread.start() for thread in threads] and None")
        for turn in range(12):
            assert parent.ask("forked('alone()')") == {"value": True}, f"child {turn} can lock"
        parent.ask("over.set(), [thread.join() for thread in threads] and None")

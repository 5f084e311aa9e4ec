"""The faults of lockfile 0.12.2 in its interface, and under rough treatment.

The names of the tests begin with the fault's.
"""

import builtins
import errno
import importlib
import os
import pathlib
import re
import signal
import sys
import threading
import warnings

from scenario import Child, attempt, in_a_thread, once_it_waits, outcome, scenario

ALL = ("link", "symlink", "mkdir", "pid", "sqlite")
FACTORIES = {"link": "LinkFileLock", "mkdir": "MkdirFileLock", "sqlite": "SQLiteFileLock"}


@scenario("pid", bites="AssertionError: these are read as pids: .*'UnicodeDecodeError'")
def test_p10_only_a_decimal_number_that_can_be_a_pid_is_read_as_one(place):
    lock, wrong = place.lock(), {}
    written = ["-1", "0", "1_000", "１２", "99999999999999999999", "2147483648", "0x10", "1 2", "", "pid 7"]
    for line in [text.encode() for text in written] + [b"\xff\xfe", b"\xe9"]:
        pathlib.Path(place.path).write_bytes(line + b"\n")
        try:
            pid = lock.read_pid()
        except Exception as error:
            pid = type(error).__name__
        if pid is not None:
            wrong[line] = pid
    assert not wrong, f"these are read as pids: {wrong}"
    pathlib.Path(place.path).write_bytes(b" 4711 \nand more\n")
    assert lock.read_pid() == 4711, "blanks and further lines are allowed"


@scenario("pid", bites="AssertionError: it does not find its own pid file: NotLocked")
def test_p12_a_lock_of_a_relative_path_is_released_after_a_change_of_directory(place):
    os.chdir(place.directory)
    lock = place.lock("job.pid")
    lock.acquire()
    os.chdir("/")
    released = outcome(lock.release)
    assert released == "done", f"it does not find its own pid file: {released}"
    assert place.names() == [], f"its pid file is removed: {place.names()}"


@scenario("pid", bites="AssertionError: a pid file without a pid is to be seen")
def test_p39_a_pid_file_is_never_seen_without_its_pid(place):
    def role(parent):
        lock = place.lock()
        parent.hold_calls("create", "write", "link", "rename")
        parent.say(attempt(lock, 0))

    reader, looks = place.lock(), 0
    with Child(role) as child:
        while child.held_call():
            looks += 1
            there, pid = os.path.exists(place.path), reader.read_pid()
            assert pid == child.pid or not there, f"a pid file without a pid is to be seen: {pid}"
        assert looks > 1, "to acquire the lock makes something, and writes into it"
        assert child.hear() == "done", "the lock was free"


@scenario("link", bites="AssertionError: a waiter left its litter")
def test_l29_a_waiter_that_is_interrupted_leaves_nothing_behind(place):
    def role(parent):
        def wait():
            once_it_waits(lambda: parent.say("waits"))
            place.lock().acquire(timeout=60)

        parent.say(outcome(wait))

    holder = place.lock()
    holder.acquire()
    before = place.names()
    with Child(role) as waiter:
        assert waiter.hear() == "waits", "the lock is held"
        os.kill(waiter.pid, signal.SIGINT)
        assert waiter.hear() == "KeyboardInterrupt", "Ctrl-C ends the wait"
    assert place.names() == before, f"a waiter left its litter: {set(place.names()) - set(before)}"


@scenario("link", bites="AssertionError: a waiter lost its file: FileNotFoundError")
def test_l30_a_cleaner_of_temporary_files_takes_nothing_from_a_waiter(place):
    def role(parent):
        lock = place.lock()
        # It goes on when the cleaner has been there.
        once_it_waits(lambda: (parent.say("waits"), parent.hear()))
        parent.say(attempt(lock, 5))

    holder = place.lock()
    holder.acquire()
    before = place.names()
    with Child(role) as waiter:
        assert waiter.hear() == "waits", "the lock is held"
        for name in set(place.names()) - set(before):
            os.unlink(place.join(name))
        waiter.say("cleaned")
        holder.release()
        got = waiter.hear()
        assert got == "done", f"a waiter lost its file: {got}"


@scenario("sqlite", bites="AssertionError: only the thread that made it can use it: ProgrammingError")
def test_q21_a_lock_can_be_used_by_another_thread_than_the_one_that_made_it(place):
    lock = place.lock()
    got = in_a_thread(lambda: attempt(lock, 0))
    assert got == "done", f"only the thread that made it can use it: {got}"


@scenario("sqlite", bites="AssertionError: the child's exit has taken the lock away")
def test_q22_the_exit_of_a_forked_child_does_not_take_its_parents_locks_away(place):
    lock = place.lock()
    lock.acquire()
    if os.fork() == 0:
        sys.exit()
    _, status = os.wait()
    assert status == 0, "the child has ended as any program does"
    got = in_a_thread(lambda: attempt(place.lock(), 0))
    assert got == "AlreadyLocked", f"the child's exit has taken the lock away: {got}"
    lock.release()


@scenario("sqlite", bites="AssertionError: the error itself went wrong: TypeError")
def test_q48_a_lock_that_goes_while_a_release_is_refused_leaves_the_refusal_as_it_is(place):
    class Interrupted(place.lock_class):
        def i_am_locking(self):
            mine = super().i_am_locking()
            place.lock().break_lock()
            return mine

    with place.held():
        got = outcome(Interrupted(place.path).release)
        assert got in ("NotMyLock", "NotLocked"), f"the error itself went wrong: {got}"


@scenario(bites="AssertionError: .* raises TypeError")
def test_b23_an_abstract_method_raises_notimplementederror(place):
    from lockfile import LockBase

    lock = LockBase(place.path)
    for method in ("acquire", "release", "is_locked", "i_am_locking", "break_lock"):
        got = outcome(getattr(lock, method))
        assert got == "NotImplementedError", f"{method} raises {got}"


@scenario(*FACTORIES, bites="AssertionError: it took a Path for something else: TypeError")
def test_b24_the_factories_take_a_path_object(place):
    import lockfile

    factory = getattr(lockfile, FACTORIES[place.backend])
    got = outcome(lambda: factory(pathlib.Path(place.path)))
    assert got == "done", f"it took a Path for something else: {got}"
    lock = factory(pathlib.Path(place.path))
    lock.acquire()
    assert place.lock().is_locked(), "it locks the path that it was given"
    lock.release()


@scenario(*ALL, bites="AssertionError: a path of type bytes can't be locked: TypeError")
def test_b25_a_path_may_be_bytes_or_a_path_object(place):
    def use(path):
        lock = place.lock(path)
        lock.acquire(timeout=0)
        assert place.lock(os.fsdecode(path)).is_locked(), "it locks the path that it was given"
        lock.release()

    for path in (os.fsencode(place.path), pathlib.Path(place.path)):
        got = outcome(lambda: use(path))
        assert got == "done", f"a path of type {type(path).__name__} can't be locked: {got}"


@scenario(bites="AssertionError: a star import lacks")
def test_b26_a_star_import_has_the_classes_that_programs_use(place):
    names = {}
    exec("from lockfile import *", names)
    lacking = {"LockFile", "FileLock"} - set(names)
    assert not lacking, f"a star import lacks {sorted(lacking)}"


@scenario(bites="AssertionError: an import has added")
def test_b27_an_import_changes_no_other_module(place):
    import lockfile

    assert lockfile.LockFile, "it is imported"
    added = {"get_name", "set_name"} & set(dir(threading.Thread))
    assert not added, f"an import has added {added} to all threads"


@scenario(*FACTORIES, bites="AssertionError: the warning blames .*lockfile")
def test_b35_the_warning_of_a_factory_names_the_line_that_calls_it(place):
    import lockfile

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(lockfile, FACTORIES[place.backend])(place.path)
    caught = [warning for warning in caught if warning.category is DeprecationWarning]
    assert len(caught) == 1, f"there is one warning: {caught}"
    assert caught[0].filename == __file__, f"the warning blames {caught[0].filename}"


@scenario(bites="AssertionError: these exceptions do not exist: .*'AlreadyUnlocked'")
def test_b49_every_exception_that_the_documentation_names_exists(place):
    missing = set()
    for name in ("", ".linklockfile", ".symlinklockfile", ".mkdirlockfile", ".pidlockfile", ".sqlitelockfile"):
        module = importlib.import_module("lockfile" + name)
        objects = [module, *vars(module).values()]
        for text in {documented.__doc__ for documented in objects if isinstance(documented.__doc__, str)}:
            for exception in re.findall(r"\b(?:Already|Not|Lock|Unlock)[A-Z]\w+", text):
                if not hasattr(module, exception) and not hasattr(builtins, exception):
                    missing.add(exception)
    assert not missing, f"these exceptions do not exist: {sorted(missing)}"


@scenario(*ALL, bites="AssertionError: the system's reason is lost")
def test_b50_an_error_of_the_system_is_kept(place):
    import lockfile

    told = None
    try:
        place.lock(place.join("missing", "res")).acquire(timeout=0)
    except lockfile.LockFailed as failure:
        told = getattr(failure, "errno", None)
    except lockfile.LockError as error:
        told = type(error).__name__
    assert told == errno.ENOENT, f"the system's reason is lost: {told}"


@scenario("sqlite", bites="AssertionError: all paths share one database")
def test_b52_each_path_has_a_database_of_its_own(place):
    databases = set()
    for path in (place.path, place.join("r" * 100)):
        lock = place.lock(path)
        lock.acquire(timeout=0)
        databases.add(lock.connection.execute("pragma database_list").fetchone()[2])
        lock.release()
    assert len(databases) == 2, f"all paths share one database: {databases}"

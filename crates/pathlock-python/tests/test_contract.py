"""What programs rely on in `lockfile`, name by name and habit by habit, holds of `pathlock.lockfile`."""

import gc
import importlib
import importlib.metadata
import importlib.resources
import inspect
import os
import pickle
import re
import socket
import sys
import threading
import warnings
from unittest import mock

import pathlock
import pytest
from children import CLASSES, PATIENCE, Child, class_of
from pathlock import lockfile

SUBMODULES = ["linklockfile", "symlinklockfile", "mkdirlockfile", "pidlockfile", "sqlitelockfile"]
PARENTS = {
    "Error": Exception,
    "LockError": lockfile.Error,
    "LockTimeout": lockfile.LockError,
    "AlreadyLocked": lockfile.LockError,
    "LockFailed": lockfile.LockError,
    "UnlockError": lockfile.Error,
    "NotLocked": lockfile.UnlockError,
    "NotMyLock": lockfile.UnlockError,
}
METHODS = ["acquire", "release", "is_locked", "i_am_locking", "break_lock"]

every_kind = pytest.mark.parametrize("kind", CLASSES)
every_kind_on_disk = pytest.mark.parametrize("kind", ["link", "symlink", "mkdir", "pid"])


# Modules and names


def test_the_package_has_the_names_of_lockfile():
    names = ["LinkFileLock", "MkdirFileLock", "SQLiteFileLock", "LockBase", "locked", *PARENTS]
    assert set(names) <= set(lockfile.__all__), "a star import brings what it brought"
    assert {"LockFile", "FileLock"} <= set(lockfile.__all__), "and the two that everybody wants"
    assert all(hasattr(lockfile, name) for name in lockfile.__all__), "what is promised is there"
    assert lockfile.LockFile is lockfile.FileLock, "two names for one class"
    assert lockfile.LockFile is class_of(lockfile, "link"), "which is the one of the links"


@pytest.mark.parametrize("module", ["pathlock", *(f"pathlock.lockfile.{name}" for name in SUBMODULES)])
def test_every_exception_can_be_imported_from_every_module(module):
    for name in PARENTS:
        found = getattr(importlib.import_module(module), name, None)
        assert found is getattr(lockfile, name), f"{name} is the same everywhere, so that `except` meets it"


@pytest.mark.parametrize("name", PARENTS)
def test_the_exceptions_are_related_as_they_were(name):
    kind = getattr(lockfile, name)
    assert kind.__bases__[0] is PARENTS[name], "whoever catches the parent catches it"
    assert not issubclass(kind, OSError), "whoever handles errors of the system does not"
    assert str(kind("job is locked")) == "job is locked", "any program may raise it with a text"
    assert str(kind()) == "", "or without"
    copy = pickle.loads(pickle.dumps(kind("job is locked")))
    assert (type(copy), str(copy)) == (kind, "job is locked"), "it passes between processes"


def test_installed_as_lockfile_it_is_what_programs_import():
    with Child() as child:
        child.ask("import importlib, threading")
        for name in ["", *(f".{name}" for name in SUBMODULES)]:
            same = f"importlib.import_module('lockfile{name}') is importlib.import_module('pathlock.lockfile{name}')"
            assert child.ask(same) is True, f"lockfile{name} is ours"
        child.ask("from lockfile.pidlockfile import PIDLockFile, AlreadyLocked, read_pid_from_pidfile")
        assert child.ask("hasattr(threading.Thread, 'get_name')") is False, "threading is left as it was"


def test_it_runs_where_its_dependents_run_and_says_its_types():
    floor = re.fullmatch(r">=\s*3\.(\d+)", importlib.metadata.metadata("pathlock")["Requires-Python"])
    assert floor and int(floor[1]) <= 10, "Airflow runs on 3.10"
    assert (importlib.resources.files(pathlock) / "py.typed").is_file(), "no stubs of `lockfile` exist elsewhere"


# Classes


@every_kind
def test_a_class_takes_the_arguments_it_took(kind, path):
    cls = class_of(lockfile, kind)
    parameters = inspect.signature(cls).parameters
    assert list(parameters) == ["path", "threaded", "timeout"], "by these names, in this order"
    assert parameters["threaded"].default is (kind != "pid"), "pid locks are the process's"
    assert parameters["timeout"].default is None, "nobody is hurried"
    assert cls(path=path, threaded=False, timeout=3).timeout == 3, "all by name"
    assert cls(path, False, 3).timeout == 3, "all by position"
    assert issubclass(cls, lockfile.LockBase), "it is a lock to whoever asks"


@every_kind
def test_subclasses_reach_their_parent_in_every_way(kind, path):
    cls = class_of(lockfile, kind)

    class Cooperative(cls):
        def __init__(self, path, **options):
            self.calls = []
            super().__init__(path, **options)

        def acquire(self, timeout=None):
            self.calls.append("acquire")
            super().acquire(timeout)

        def release(self):
            self.calls.append("release")
            super().release()

    class Unbound(cls):
        def acquire(self, timeout=None):
            cls.acquire(self, timeout)

        def release(self):
            cls.release(self)

    with Cooperative(path, timeout=-1) as lock:
        assert lock.i_am_locking(), "the parent's method has done the work"
    assert lock.calls == ["acquire", "release"], "`with` calls what the subclass has made of the methods"
    with Unbound(path) as lock:
        assert lock.i_am_locking(), "the parent's function has done the work"
    assert not lock.is_locked(), "and undone it"


@every_kind
def test_methods_can_be_replaced_on_the_class_and_on_an_object(kind, path, tmp_path):
    cls = class_of(lockfile, kind)
    for method in METHODS:
        with mock.patch.object(cls, method, autospec=True, return_value="replaced") as replaced:
            lock = cls(path)
            assert getattr(lock, method)() == "replaced", f"{method} is looked up in the class"
            replaced.assert_called_once_with(lock)
        lock = cls(path)
        with mock.patch.object(lock, method, new=lambda *_: "replaced"):
            assert getattr(lock, method)() == "replaced", f"{method} is looked up in the object"
    with mock.patch.object(lock, "acquire") as acquire, mock.patch.object(lock, "release") as release:
        with lock:
            acquire.assert_called_once_with()
            assert not release.called, "not yet"
        release.assert_called_once_with()
    assert os.listdir(tmp_path) == [], "nothing of this has locked anything"
    assert lock.__dict__["path"] == path, "an object has its attributes in a `__dict__`"


@every_kind
def test_an_object_whose_init_never_ran_can_be_shown_and_thrown_away(kind, monkeypatch, path):
    cls = class_of(lockfile, kind)
    complaints = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    with mock.patch.object(cls, "__init__", autospec=True, return_value=None) as init:
        lock = cls(path)
    init.assert_called_once_with(lock, path)
    init.reset_mock()
    assert cls.__name__ in repr(lock), "it says what it is"
    del lock
    gc.collect()
    assert complaints == [], "it goes without a word"


def test_a_base_class_leaves_the_work_to_its_children(path):
    base = lockfile.LockBase(path)
    for method in METHODS:
        with pytest.raises(NotImplementedError):
            getattr(base, method)()


# Attributes


@every_kind
@pytest.mark.parametrize("threaded", [True, False])
def test_the_attributes_say_what_they_said(kind, threaded, path, tmp_path):
    lock = class_of(lockfile, kind)(path, threaded=threaded, timeout=7)
    assert (lock.path, lock.lock_file, lock.timeout) == (path, path + ".lock", 7), "what is locked, where, how long"
    assert (lock.hostname, lock.pid) == (socket.gethostname(), os.getpid()), "who locks"
    thread = f"-{threading.get_ident() & 0xFFFFFFFF:x}" if threaded and kind != "pid" else ""
    assert lock.tname == thread, "which thread does, if that matters"
    directory, name = os.path.split(lock.unique_name)
    if kind == "pid":
        assert lock.unique_name == path, "a pid lock is named by its file"
    elif kind == "mkdir":
        assert (directory, name) == (lock.lock_file, f"{lock.hostname}.{thread}{lock.pid}"), "it is in the directory"
    else:
        assert directory == ("" if kind == "symlink" else str(tmp_path)), "it is beside the lock"
        assert name.startswith(f"{lock.hostname}{thread}.{lock.pid}"), "it names the owner"
    assert repr(lock) == f"<{type(lock).__name__}: {lock.unique_name!r} -- {path!r}>", "it shows both"


def test_the_lock_file_of_a_relative_path_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lock = lockfile.LockFile("job")
    assert (lock.path, lock.lock_file) == ("job", str(tmp_path / "job.lock")), "the path stays as it was given"
    with lock:
        monkeypatch.chdir("/")
        assert lock.i_am_locking(), "it is where it was, wherever the program goes"
    assert os.listdir(tmp_path) == [], "and it is released there"


@every_kind_on_disk
def test_the_current_timeout_counts(kind, path, another_program):
    another_program(kind, path)
    lock = class_of(lockfile, kind)(path)
    for timeout, refusal in [(-1, lockfile.AlreadyLocked), (0, lockfile.AlreadyLocked), (0.02, lockfile.LockTimeout)]:
        lock.timeout = timeout
        for arguments in [(), (None,)]:
            with pytest.raises(refusal):
                lock.acquire(*arguments)
        lock.timeout = PATIENCE
        with pytest.raises(refusal):
            lock.acquire(timeout)
        with pytest.raises(refusal):
            lock.acquire(timeout=timeout)


@every_kind_on_disk
def test_the_current_place_counts(kind, path, tmp_path):
    name = "path" if kind == "pid" else "lock_file"
    lock = class_of(lockfile, kind)(path)
    first, second = getattr(lock, name), str(tmp_path / "elsewhere")
    setattr(lock, name, second)
    lock.acquire()
    assert os.listdir(tmp_path) == ["elsewhere"], "it is acquired where the object says now"
    setattr(lock, name, first)
    assert not lock.is_locked(), "the first place is free"
    with pytest.raises(lockfile.NotLocked):
        lock.release()
    setattr(lock, name, second)
    lock.release()
    assert os.listdir(tmp_path) == [], "it is released where the object says now"


@pytest.mark.parametrize("kind", ["link", "symlink", "mkdir", "sqlite"])
def test_the_current_unique_name_is_the_owner(kind, path):
    cls = class_of(lockfile, kind)
    lock, other = cls(path), cls(path)
    other.unique_name = lock.unique_name + ".other"
    lock.acquire()
    assert not other.i_am_locking(), "another name, another owner"
    with pytest.raises(lockfile.NotMyLock):
        other.release()
    other.unique_name = lock.unique_name
    assert other.i_am_locking(), "the same name, the same owner"
    other.release()
    assert not lock.is_locked(), "who may release it"


# With, the factories and the decorator


@every_kind
def test_with_gives_the_lock_and_lets_exceptions_pass(kind, path):
    lock = class_of(lockfile, kind)(path)
    with lock as given:
        assert given is lock, "`as` names the lock"
        assert lock.i_am_locking(), "it is held inside"
    assert not lock.is_locked(), "and free after it"
    lock.acquire()
    assert lock.__exit__(None, None, None) is None, "no exception is swallowed"
    with pytest.raises(ZeroDivisionError):
        with lock:
            raise ZeroDivisionError
    assert not lock.is_locked(), "an exception releases it"


@every_kind_on_disk
def test_with_says_what_the_release_says(kind, path, another_program):
    lock = class_of(lockfile, kind)(path)
    with pytest.raises(lockfile.NotLocked):
        with lock:
            lock.release()
    with pytest.raises(lockfile.NotMyLock):
        with lock:
            lock.break_lock()
            another_program(kind, path)
    assert lock.is_locked() and not lock.i_am_locking(), "what is another's stays"


@pytest.mark.parametrize(
    "factory, kind", [("LinkFileLock", "link"), ("MkdirFileLock", "mkdir"), ("SQLiteFileLock", "sqlite")]
)
def test_a_factory_warns_the_one_who_calls_it(factory, kind, path, tmp_path):
    make = getattr(lockfile, factory)
    # Programs keep a factory in a class, and so call it as a method.
    for arguments, options in [((path,), {}), ((path, True), {"timeout": 3}), ((object(), path), {})]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            lock = make(*arguments, **options)
        assert type(lock) is class_of(lockfile, kind), "it makes what it is named after"
        assert (lock.path, lock.timeout) == (path, options.get("timeout")), "of what it is given"
        assert lock.tname, "threads are told apart if nobody says otherwise"
        assert [warning.category for warning in caught] == [DeprecationWarning], "one warning"
        assert caught[0].filename == __file__, "which is shown at the call, not inside the package"
        assert CLASSES[kind][0] in str(caught[0].message), "and says what to import"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with make(tmp_path / "job") as lock:
            assert lock.i_am_locking(), "a path need not be a string"


def test_the_decorator_locks_each_call_by_the_lock_of_the_moment(path, monkeypatch):
    made = []

    class Recorded(lockfile.LockFile):
        def __init__(self, *args, **options):
            made.append(options)
            super().__init__(*args, **options)

    @lockfile.locked(path, timeout=-1)
    def work(word, *, ending):
        """What it does."""
        assert lockfile.LockFile(path).is_locked(), "the lock is held inside"
        return word + ending

    assert (work.__name__, work.__doc__) == ("work", "What it does."), "it still looks like itself"
    assert work("lock", ending="ed") == "locked", "arguments and result pass through"
    monkeypatch.setattr(lockfile, "FileLock", Recorded)
    work("lock", ending="ed")
    assert made == [{"timeout": -1}], "`FileLock` is looked up when it is called, not before"
    with pytest.raises(TypeError):
        work()
    assert not lockfile.LockFile(path).is_locked(), "it is released after an exception too"
    with Child() as child:
        child.make("link", path)
        child.ask("lock.acquire()")
        with pytest.raises(lockfile.AlreadyLocked):
            work("lock", ending="ed")

"""What programs rely on in `lockfile`, name by name and habit by habit, holds of `pathlock.lockfile`."""

import errno
import gc
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

import pytest

import pathlock
from children import CLASSES, PATIENCE, Child, class_of
from pathlock import lockfile
from pathlock.lockfile import pidlockfile

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
every_kind_beside_its_path = pytest.mark.parametrize("kind", ["link", "symlink", "mkdir"])
every_kind_on_disk = pytest.mark.parametrize("kind", ["link", "symlink", "mkdir", "pid"])


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "job")


def held_by_another_program(kind, path):
    """Makes what locks `path` for everybody, and is nobody's here."""
    if kind == "pid":
        with open(path, "w") as file:
            file.write(f"{os.getppid()}\n")
    elif kind == "mkdir":
        os.mkdir(path + ".lock")
    elif kind == "symlink":
        os.symlink("another", path + ".lock")
    else:
        open(path + ".lock", "x").close()


def in_thread(function):
    """What `function` returns in another thread, or the exception that it raises there."""
    outcome = []

    def body():
        try:
            outcome.append(function())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert outcome, "the other thread hangs"
    return outcome[0]


# Modules and names


def test_the_package_has_the_names_of_lockfile():
    names = ["LinkFileLock", "MkdirFileLock", "SQLiteFileLock", "LockBase", "locked", *PARENTS]
    assert set(names) <= set(lockfile.__all__), "a star import brings what it brought"
    assert {"LockFile", "FileLock"} <= set(lockfile.__all__), "and the two that everybody wants"
    assert all(hasattr(lockfile, name) for name in lockfile.__all__), "what is promised is there"
    assert lockfile.LockFile is lockfile.FileLock, "two names for one class"
    assert lockfile.LockFile is class_of(lockfile, "link"), "which is the one of the links"


@pytest.mark.parametrize("module", ["pathlock", "pathlock.lockfile", *(f"pathlock.lockfile.{name}" for name in SUBMODULES)])
@pytest.mark.parametrize("name", PARENTS)
def test_every_exception_can_be_imported_from_every_module(module, name):
    found = getattr(importlib.import_module(module), name)
    assert found is getattr(lockfile, name), "it is the same one everywhere, so that `except` meets it"


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
        for name in ["", *(f".{name}" for name in SUBMODULES)]:
            same = f"importlib.import_module('lockfile{name}') is importlib.import_module('pathlock.lockfile{name}')"
            child.ask("import importlib")
            assert child.ask(same) is True, f"lockfile{name} is ours"
        child.ask("from lockfile.pidlockfile import PIDLockFile, AlreadyLocked, read_pid_from_pidfile")
        assert child.ask("hasattr(sys.modules['threading'].Thread, 'get_name')") is False, "threading is left as it was"


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
def test_the_current_timeout_counts(kind, path):
    held_by_another_program(kind, path)
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

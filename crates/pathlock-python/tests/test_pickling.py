"""Pickling and copying: a lock arrives as one that holds nothing, an exception with all that it knows."""

import copy
import functools
import pickle

import pathlock
import pytest
from pathlock import lockfile
from worlds import Other, done_in_thread, each_scheme, refusal

# Multiprocessing uses the newest, copies the fourth.
PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)

OPTIONS = [
    {},
    {"scheme": "mkdir", "slots": 3, "timeout": 1.5},
    {"scheme": "ofd", "shared": True, "at": True},
    {"reentrant": True, "ownership": "process", "command": "job\n", "mode": 0o640, "recover": False},
    {"scheme": "pid", "lease": 3.0, "on_lost": print, "on_wait": functools.partial(print, "waits")},
]


@pytest.mark.parametrize("make", [pathlock.Lock, pathlock.AsyncLock])
@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_a_lock_arrives_with_its_options(make, options, tmp_path):
    lock = make(tmp_path / "job", **options)
    copies = [pickle.loads(pickle.dumps(lock, protocol)) for protocol in PROTOCOLS]
    for arrived in [*copies, copy.copy(lock), copy.deepcopy(lock)]:
        assert type(arrived) is make and arrived is not lock, "it is another lock"
        assert (arrived.path, arrived.lock_file, arrived.scheme) == (lock.path, lock.lock_file, lock.scheme), arrived
        if "on_wait" not in options:
            assert repr(arrived) == repr(lock), "with the same options"
    if make is pathlock.Lock and "on_wait" not in options:
        assert copies[0].timeout == lock.timeout, "and the same timeout"


@each_scheme
def test_a_held_lock_arrives_as_one_that_holds_nothing(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
    with lock:
        for arrived in (pickle.loads(pickle.dumps(lock)), copy.copy(lock)):
            assert lock.acquired and not arrived.acquired, "it holds nothing"
            assert done_in_thread(arrived.try_acquire) is None, "and is kept out as anybody"
            assert type(refusal(arrived.release)) is pathlock.NotLocked, "it can't release what is not its own"
            del arrived
        assert lock.acquired and lock.is_locked(), "what becomes of it does nothing to the first"
    arrived = pickle.loads(pickle.dumps(lock))
    with arrived as guard:
        assert guard.valid and lock.try_acquire() is None, "they exclude each other"


@pytest.mark.parametrize("make", [pathlock.Lock, pathlock.AsyncLock])
def test_a_relative_path_arrives_as_the_file_that_it_meant(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lock = make("job")
    database = make("locks.db#job", scheme="sqlite")
    monkeypatch.chdir("/")
    for one in (lock, database):
        for arrived in (pickle.loads(pickle.dumps(one)), copy.copy(one)):
            assert (arrived.path, arrived.lock_file) == (one.path, one.lock_file), (
                "in another directory it is the same lock"
            )


@each_scheme
def test_a_path_that_is_no_text_arrives(scheme, tmp_path):
    lock = pathlock.Lock(bytes(tmp_path) + b"/caf\xe9", scheme=scheme)
    arrived = pickle.loads(pickle.dumps(lock))
    assert (arrived.path, arrived.lock_file) == (lock.path, lock.lock_file), arrived


def test_a_lock_arrives_in_another_process(tmp_path):
    lock = pathlock.Lock(tmp_path / "job", scheme="flock", timeout=0)
    with lock, Other() as other:
        other.ask(f"import pickle; lock = pickle.loads({pickle.dumps(lock)!r})")
        assert other.ask("[lock.acquired, lock.is_locked(), lock.timeout]") == [False, True, 0.0], "it holds nothing"
        assert other.refusal("lock.acquire()") == "AlreadyLocked", "and is kept out"


def test_what_can_not_be_pickled_says_so(tmp_path):
    lock = pathlock.Lock(tmp_path / "job")
    with lock as guard:
        for take in (pickle.dumps, copy.copy):
            with pytest.raises(TypeError, match="Guard"):
                take(guard)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(pathlock.Lock(tmp_path / "job", on_wait=lambda event: None))


CLASSES = [
    pathlock.Error,
    pathlock.LockError,
    pathlock.LockTimeout,
    pathlock.AlreadyLocked,
    pathlock.LockFailed,
    pathlock.UnlockError,
    pathlock.NotLocked,
    pathlock.NotMyLock,
]
ATTRIBUTES = ("path", "lock_file", "owner", "waited", "errno", "reason")


def test_the_classes_of_exceptions_are_lockfiles():
    assert [kind.__mro__[1] for kind in CLASSES] == [
        Exception,
        pathlock.Error,
        pathlock.LockError,
        pathlock.LockError,
        pathlock.LockError,
        pathlock.Error,
        pathlock.UnlockError,
        pathlock.UnlockError,
    ], "each stands where lockfile's does"
    for kind in CLASSES:
        assert not issubclass(kind, OSError), "none is an OSError"
        assert getattr(lockfile, kind.__name__) is kind, "those of pathlock.lockfile are the same"


@pytest.mark.parametrize("kind", CLASSES)
def test_an_exception_can_be_made_with_any_message(kind):
    for arguments in [(), ("text",), ("text", 3)]:
        error = kind(*arguments)
        assert error.args == arguments and str(error) == str(Exception(*arguments)), repr(error)
        assert all(getattr(error, name) is None for name in ATTRIBUTES), "nothing is known"
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            arrived = pickle.loads(pickle.dumps(error, protocol))
            assert type(arrived) is kind and arrived.args == arguments, "it arrives"


def known(error):
    return {name: getattr(error, name) for name in ATTRIBUTES}


@each_scheme
def test_an_exception_arrives_with_all_that_it_knows(scheme, tmp_path):
    with Other(tmp_path / "job", scheme=scheme) as other:
        other.ask("guard = lock.acquire()")
        lock = pathlock.Lock(tmp_path / "job", scheme=scheme)
        errors = [
            refusal(lock.acquire, 0),
            refusal(lock.acquire, 0.01),
            refusal(lock.release),
            refusal(pathlock.Lock(tmp_path / "no" / "job", scheme=scheme).acquire),
        ]
        assert [type(error) for error in errors] == [
            pathlock.AlreadyLocked,
            pathlock.LockTimeout,
            pathlock.NotLocked,
            pathlock.LockFailed,
        ], errors
        for error in errors:
            for arrived in [pickle.loads(pickle.dumps(error, protocol)) for protocol in PROTOCOLS] + [copy.copy(error)]:
                assert type(arrived) is type(error) and str(arrived) == str(error), "the same in words"
                assert known(arrived) == known(error), "and in its attributes"
        for error in errors[:2]:
            assert error.owner.pid == other.pid and error.waited >= 0, "the owner is known, and the time"
        assert errors[3].errno == 2 and errors[3].reason == "os", "and what the system said"


@each_scheme
def test_what_is_known_of_a_lock_arrives(scheme, tmp_path):
    with Other(tmp_path / "job", scheme=scheme) as other:
        other.ask("guard = lock.acquire()")
        status = pathlock.status(tmp_path / "job", scheme=scheme)
        arrived = pickle.loads(pickle.dumps(status))
        assert arrived == status and arrived.owner.pid == other.pid, arrived
        assert hash(arrived.owner) == hash(status.owner), "an owner can be the key of a dict"

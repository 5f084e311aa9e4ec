"""Arguments: every kind of path, what is refused and how, and what an object says of itself."""

import os
import pathlib
import sys

import pathlock
import pytest
from worlds import done_in_thread, each_scheme, files, refusal

NO_TIMEOUTS = [
    (True, TypeError),
    (False, TypeError),
    ("1", TypeError),
    (b"1", TypeError),
    ([], TypeError),
    (object(), TypeError),
    (1j, TypeError),
    (float("nan"), ValueError),
]


class Named:
    """An `os.PathLike`."""

    def __init__(self, name):
        self.name = name

    def __fspath__(self):
        return self.name


@pytest.mark.parametrize("value, kind", NO_TIMEOUTS, ids=repr)
def test_what_is_no_timeout_is_refused_wherever_one_is_taken(value, kind, tmp_path):
    lock = pathlock.Lock(tmp_path / "job")
    for take in (
        lambda: pathlock.Lock(tmp_path / "job", timeout=value),
        lambda: pathlock.AsyncLock(tmp_path / "job", timeout=value),
        lambda: pathlock.locked(tmp_path / "job", timeout=value),
        lambda: lock.acquire(value),
        lambda: lock.acquire(timeout=value),
        lambda: lock.wait_free(value),
        lambda: lock.wait_free(timeout=value),
        lambda: pathlock.acquire_all([lock], value),
    ):
        with pytest.raises(kind, match="timeout"):
            take()
    assert not lock.is_locked(), "nothing was acquired"


@pytest.mark.parametrize("value", [0, 1, 0.5, -1, float("inf"), float("-inf"), 10**400, -(10**400), None], ids=repr)
def test_every_number_is_a_timeout(value, tmp_path):
    lock = pathlock.Lock(tmp_path / "job", timeout=value)
    for acquire in (lock.acquire, lambda: lock.acquire(value), lambda: pathlock.acquire_all([lock], value).close()):
        acquire()
        if lock.acquired:
            lock.release()
    assert lock.wait_free(value) is None, "it is free"


def test_a_number_is_whatever_python_takes_for_one(tmp_path):
    from decimal import Decimal
    from fractions import Fraction

    for value in (Decimal("0.5"), Fraction(1, 2)):
        assert pathlock.Lock(tmp_path / "job", timeout=value).timeout == 0.5, value


@each_scheme
def test_a_path_is_a_string_bytes_or_path_like(scheme, tmp_path):
    expected = str(tmp_path / "job")
    first = pathlock.Lock(expected, scheme=scheme)
    first.acquire()
    for path in (
        expected.encode(),
        pathlib.Path(expected),
        Named(expected),
        Named(expected.encode()),
        os.path.join(str(tmp_path), ".", "job"),
    ):
        lock = pathlock.Lock(path, scheme=scheme)
        assert lock.path.replace("/./", "/") == expected and lock.lock_file == first.lock_file, f"{path!r}: {lock.path}"
        assert done_in_thread(lock.try_acquire) is None, f"{path!r} is the same lock"
    first.release()


@each_scheme
def test_a_path_need_not_be_text(scheme, tmp_path):
    name = b"caf\xe9 \xff\n '\"#\xf0\x9f\x94\x92" if scheme != "sqlite" else b"caf\xe9 \xff\n '\"\xf0\x9f\x94\x92"
    path = os.fsencode(tmp_path) + b"/" + name
    lock = pathlock.Lock(path, scheme=scheme)
    assert lock.path == os.fsdecode(path), "it is Python's text for it"
    with lock as guard:
        assert any(os.fsencode(file).startswith(name) for file in files(tmp_path)), "the file has that very name"
        assert guard.path == lock.path and guard.lock_file == lock.lock_file, "the guard says so, too"
        other = pathlock.Lock(lock.path, scheme=scheme)
        assert done_in_thread(other.try_acquire) is None, "the text names the same lock"
        error = done_in_thread(refusal, other.acquire, 0)
        assert error.path == lock.path and error.lock_file == lock.lock_file, "the error says which it is"
        str(error).encode()  # Its message can be printed.
    assert repr(lock) == f"pathlock.Lock({lock.path!r}, scheme={scheme!r})", repr(lock)


@pytest.mark.parametrize("path", ["a\0b", b"a\0b", "\0", "job\0", Named("a\0b"), Named(b"a\0b")], ids=repr)
def test_a_null_in_a_path_is_refused_before_anything_is_asked(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for make in (pathlock.Lock, pathlock.AsyncLock, pathlock.status, pathlock.locked):
        with pytest.raises(ValueError, match="null"):
            make(path)
    assert files(tmp_path) == [], "no part of it was taken for a path"


@pytest.mark.parametrize("path", [None, 3, 1.5, [], object(), Named(3)], ids=repr)
def test_what_is_no_path_is_refused(path):
    for make in (pathlock.Lock, pathlock.AsyncLock, pathlock.status, pathlock.locked):
        with pytest.raises(TypeError):
            make(path)


@each_scheme
def test_an_empty_path_names_no_lock(scheme, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("", b""):
        lock = pathlock.Lock(path, scheme=scheme)
        for use in (lock.acquire, lock.try_acquire, lock.is_locked, lock.status, lock.break_lock, lock.wait_free):
            error = refusal(use)
            assert (type(error), error.reason) == (pathlock.LockFailed, "bad-path"), f"{use.__name__}: {error}"
    assert files(tmp_path) == [], "nothing was made"


@each_scheme
def test_a_missing_directory_is_named(scheme, tmp_path):
    lock = pathlock.Lock(tmp_path / "no" / "job", scheme=scheme)
    for use in (lock.acquire, lambda: lock.acquire(0), lock.try_acquire, lock.__enter__):
        error = refusal(use)
        assert (type(error), error.reason, error.errno) == (pathlock.LockFailed, "os", 2), repr(error)
        assert str(tmp_path / "no") in str(error), f"it says what is missing: {error}"
        assert (error.path, error.lock_file) == (lock.path, lock.lock_file), "and for which lock"
    (tmp_path / "no").mkdir()
    with lock:
        assert lock.acquired, "once it is there, the lock works"


@each_scheme
def test_a_name_that_is_too_long_is_refused(scheme, tmp_path):
    error = refusal(pathlock.Lock(tmp_path / ("x" * 300), scheme=scheme).acquire)
    assert (type(error), error.errno) == (pathlock.LockFailed, 36), repr(error)


def test_a_relative_path_is_taken_from_where_the_lock_was_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lock = pathlock.Lock("job")
    asynchronous = pathlock.AsyncLock("job")
    monkeypatch.chdir("/")
    for one in (lock, asynchronous):
        assert one.path == str(tmp_path / "job") and one.lock_file == str(tmp_path / "job.lock"), one
    with lock:
        assert files(tmp_path) == ["job.lock"], "it is there"


@pytest.mark.parametrize(
    "options, kind, said",
    [
        ({"scheme": "nfs"}, ValueError, "link, symlink, mkdir, pid, flock, ofd"),
        ({"scheme": ""}, ValueError, "no scheme"),
        ({"scheme": "LINK"}, ValueError, "no scheme"),
        ({"scheme": 3}, TypeError, None),
        ({"ownership": "me"}, ValueError, "'thread' or 'process'"),
        ({"ownership": None}, TypeError, None),
        ({"slots": 0}, ValueError, "1 or more"),
        ({"slots": -1}, (ValueError, OverflowError), None),
        ({"slots": 10**6}, (ValueError, OverflowError), None),
        ({"slots": 1.5}, TypeError, None),
        ({"slots": 2, "shared": True}, ValueError, "exclude each other"),
        ({"lease": -1}, ValueError, "lease"),
        ({"lease": float("nan")}, ValueError, "lease"),
        ({"lease": float("inf")}, ValueError, "lease"),
        ({"lease": "5"}, TypeError, None),
        ({"lease": 5, "recover": False}, ValueError, "recover"),
        ({"mode": "rw"}, TypeError, None),
        ({"mode": -1}, (ValueError, OverflowError), None),
        ({"command": b"job"}, TypeError, None),
        ({"at": "yes"}, TypeError, None),
        ({"tiemout": 5}, TypeError, "tiemout"),
    ],
    ids=repr,
)
def test_what_makes_no_sense_is_refused_where_the_lock_is_made(options, kind, said, tmp_path):
    for make in (pathlock.Lock, pathlock.AsyncLock, pathlock.locked):
        with pytest.raises(kind, match=said):
            make(tmp_path / "job", **options)


@pytest.mark.parametrize("name", ["on_wait", "on_lost"])
def test_what_can_not_be_called_is_refused_where_the_lock_is_made(name, tmp_path):
    for value in (True, "print", 3):
        with pytest.raises(TypeError, match=name):
            pathlock.Lock(tmp_path / "job", **{name: value})


def test_options_are_keywords(tmp_path):
    with pytest.raises(TypeError):
        pathlock.Lock(tmp_path / "job", "flock")
    with pytest.raises(TypeError):
        pathlock.Lock()


def test_what_is_known_of_a_lock_can_not_be_written(tmp_path):
    lock = pathlock.Lock(tmp_path / "job", timeout=3)
    assert (lock.path, lock.timeout) == (str(tmp_path / "job"), 3.0), lock
    assert pathlock.Lock(tmp_path / "job").timeout is None, "for ever"
    for name in ("path", "lock_file", "scheme", "timeout", "acquired", "owner", "token", "slot"):
        with pytest.raises(AttributeError):
            setattr(lock, name, None)
    with pytest.raises(AttributeError):
        lock.tiemout = 5  # A slip of the pen is told.
    with lock as guard:
        for name in ("valid", "path", "owner", "mode"):
            with pytest.raises(AttributeError):
                setattr(guard, name, None)


def test_the_repr_of_a_lock_makes_the_same_lock(tmp_path):
    for options in [
        {},
        {"scheme": "flock"},
        {"timeout": 5.0, "at": True},
        {"scheme": "mkdir", "slots": 3},
        {"shared": True, "scheme": "ofd", "command": 'it\'s "me"\n'},
        {"reentrant": True, "ownership": "process", "recover": False, "mode": 0o600},
        {"lease": 2.5},
    ]:
        for make in (pathlock.Lock, pathlock.AsyncLock):
            lock = make(tmp_path / "job", **options)
            again = eval(repr(lock), {"pathlock": pathlock})
            assert type(again) is make and repr(again) == repr(lock), repr(lock)
            assert (again.path, again.scheme, again.lock_file) == (lock.path, lock.scheme, lock.lock_file), repr(lock)
            assert all(f"{name}={value!r}" in repr(lock) for name, value in options.items()), repr(lock)


def test_the_repr_of_a_guard_says_what_it_is(tmp_path):
    with pathlock.Lock(tmp_path / "job") as guard:
        assert "Guard" in repr(guard) and str(tmp_path / "job") in repr(guard), repr(guard)
    assert "released" in repr(guard), repr(guard)
    with pathlock.Lock(tmp_path / "job2", scheme="flock", shared=True) as guard:
        assert "shared" in repr(guard), repr(guard)


def test_what_the_package_has_is_what_it_says(tmp_path):
    assert sorted(pathlock.__all__) == sorted(set(pathlock.__all__)), "each name once"
    for name in pathlock.__all__:
        assert getattr(pathlock, name).__doc__ or name in ("SCHEMES", "__version__"), f"{name} has a word of help"
    assert pathlock.SCHEMES == ["link", "symlink", "mkdir", "pid", "flock", "ofd", "sqlite"], pathlock.SCHEMES
    for method in ("acquire", "try_acquire", "release", "status", "break_lock", "wait_free", "is_locked"):
        assert getattr(pathlock.Lock, method).__doc__, f"{method} has a word of help"
        assert "$self" not in (getattr(pathlock.Lock, method).__text_signature__ or "").replace("($self", "("), method
    assert "pathlock" in sys.modules, "it is imported by its name"


def test_guards_can_not_be_made_and_nothing_can_be_derived():
    with pytest.raises(TypeError):
        pathlock.Guard()
    with pytest.raises(TypeError):
        type("Mine", (pathlock.Guard,), {})
    with pytest.raises(TypeError):
        type("Mine", (pathlock.Lock,), {})

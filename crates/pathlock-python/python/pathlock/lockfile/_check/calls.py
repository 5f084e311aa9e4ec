"""Findings about calls: what a program makes of a lock's classes, methods and exceptions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .files import Finding, locks_made
from .names import Lock, Program, of_lockfile
from .scopes import Scope

_THREADS = ("Thread", "Thread()", "current_thread()", "currentThread()", "main_thread()")
_NOT_ACQUIRED = {"LockTimeout", "AlreadyLocked", "LockError", "Error"}
_BREAKS = {"break_lock", "remove_existing_pidfile"}
_ALL_FAILURES = {"Exception", "BaseException", "Error", "LockError", "LockFailed"}
_ERRORS_OF_THE_SYSTEM = {
    "OSError",
    "IOError",
    "EnvironmentError",
    "PermissionError",
    "FileNotFoundError",
    "FileExistsError",
}


def star_import(program: Program) -> Iterator[Finding]:
    for node in program.nodes:
        match node:
            case ast.ImportFrom(module="lockfile" | "pathlock.lockfile", level=0, names=[ast.alias(name="*")]):
                yield node, "this binds LockFile and FileLock too; import the names that are used"


def threaded_false(program: Program) -> Iterator[Finding]:
    """A lock that all threads of the process are to hold at once."""
    for lock in locks_made(program):
        match lock.argument("threaded", 1):
            case ast.Constant(value=False) if lock.kind not in ("pid", "base"):
                yield (
                    lock.source,
                    (
                        "with threaded=False lockfile lets all threads of a process hold the lock at once, and pathlock one; "
                        "nothing to do, if one at a time is meant"
                    ),
                )


def sqlite_processes(program: Program) -> Iterator[Finding]:
    for lock in locks_made(program):
        if lock.kind == "sqlite":
            yield (
                lock.source,
                (
                    "lockfile has a database for each process, so processes hold the lock at once; pathlock has one, PATH.lock.db; "
                    "nothing to do, if one at a time is meant"
                ),
            )


def sqlite_database(program: Program) -> Iterator[Finding]:
    """The database of an SQLiteLockFile is used for itself."""
    for node in program.nodes:
        if not isinstance(node, ast.Attribute) or node.attr not in ("testdb", "connection"):
            continue
        match program.value(node.value):
            case Lock(kind="sqlite"):
                pass
            case _ if of_lockfile(program.dotted(node.value)) != "SQLiteLockFile":
                continue
        if node.attr == "connection":
            yield node, "the tables of this database are not lockfile's; ask is_locked() and i_am_locking()"
        elif isinstance(node.ctx, ast.Load):
            yield node, "`testdb` is None unless the program sets it, and the database is PATH.lock.db; use that name"


def thread_get_name(program: Program) -> Iterator[Finding]:
    names = {f"threading.{thread}.get_name" for thread in _THREADS}
    for node in program.nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and program.dotted(node) in names:
            yield node, "lockfile adds get_name to threading.Thread, and pathlock does not; use the attribute `name`"


def _caught(handler: ast.ExceptHandler) -> list[ast.expr]:
    if handler.type is None:
        return []
    return list(handler.type.elts) if isinstance(handler.type, ast.Tuple) else [handler.type]


def _breaks(program: Program, node: ast.AST) -> bool:
    """Whether `node` removes a lock, whoever holds it."""
    method = program.method(node)
    return (method is not None and method[1] in _BREAKS) or of_lockfile(program.called(node)) in _BREAKS


def break_after_timeout(program: Program) -> Iterator[Finding]:
    """A lock is broken because it was waited for in vain."""
    for node in program.nodes:
        if not isinstance(node, ast.ExceptHandler):
            continue
        if any(of_lockfile(program.dotted(caught)) in _NOT_ACQUIRED for caught in _caught(node)):
            for inner in (inner for statement in node.body for inner in program.within(statement)):
                if _breaks(program, inner):
                    yield (
                        inner,
                        (
                            "acquire() takes over the lock of a dead owner by itself, so this one may be at work; "
                            "remove the call"
                        ),
                    )


def os_error(program: Program) -> Iterator[Finding]:
    """An error of the system is expected of acquire() itself."""
    for node in program.nodes:
        if not isinstance(node, ast.Try) or not _only_acquires(program, node.body):
            continue
        caught = [(handler, program.dotted(one)) for handler in node.handlers for one in _caught(handler)]
        names = {name for _, name in caught} | {of_lockfile(name) for _, name in caught}
        if names & _ALL_FAILURES or any(handler.type is None for handler in node.handlers):
            continue
        for handler, name in caught:
            of_sqlite = name is not None and name.startswith("sqlite3.") and name.endswith("Error")
            if name in _ERRORS_OF_THE_SYSTEM or of_sqlite:
                yield (
                    handler,
                    "errors of the system and of SQLite come as LockFailed, with their errno; catch LockFailed",
                )
                break


def _only_acquires(program: Program, body: list[ast.stmt]) -> bool:
    methods = []
    for statement in body:
        for node in program.within(statement):
            if isinstance(node, ast.Call):
                methods.append(program.method(node))
    return any(method is not None and method[1] == "acquire" for method in methods) and None not in methods


def own_stale_test(program: Program) -> Iterator[Finding]:
    """The program looks whether the pid of a lock runs, and breaks the lock if not."""
    robbers = {program.function(node) for node in program.nodes if _breaks(program, node)}
    for node in program.nodes:
        if isinstance(node, ast.Call) and program.function(node) in robbers and _tests_a_pid(program, node):
            yield (
                node,
                "acquire() takes over the lock of a dead owner by itself; remove this test, and the break_lock()",
            )


def _tests_a_pid(program: Program, call: ast.Call) -> bool:
    if not call.args or not _is_lock_pid(program, call.args[0]):
        return False
    function = program.value(call.func)
    if isinstance(function, Scope) and isinstance(function.node, ast.FunctionDef | ast.AsyncFunctionDef):
        inside = (
            node for node in program.within(function.node, functions=True) if isinstance(node, ast.Call) and node.args
        )
        return any(isinstance(node.args[0], ast.Name) and _is_test(program, node) for node in inside)
    return _is_test(program, call)


def _is_test(program: Program, call: ast.Call) -> bool:
    match call.args:
        case [_, ast.Constant(value=0)]:
            return program.called(call) == "os.kill"
        case [_, signal]:
            return program.called(call) == "os.kill" and program.dotted(signal) == "signal.SIG_DFL"
    return program.called(call) in ("psutil.pid_exists", "psutil.Process")


def _is_lock_pid(program: Program, pid: ast.expr) -> bool:
    pid = program.written(pid)
    match program.method(pid):
        case (_, "read_pid"):
            return True
    return of_lockfile(program.called(pid)) == "read_pid_from_pidfile"


RULES = {
    "star-import": star_import,
    "threaded-false": threaded_false,
    "sqlite-processes": sqlite_processes,
    "sqlite-database": sqlite_database,
    "thread-get-name": thread_get_name,
    "break-after-timeout": break_after_timeout,
    "os-error": os_error,
    "own-stale-test": own_stale_test,
}

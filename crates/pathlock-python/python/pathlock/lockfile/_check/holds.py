"""Findings about what a program does while it holds a lock, and about locks that it does not let go."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from .files import Finding, name_of
from .names import Lock, Program
from .scopes import Scope

_DAEMONS = {"daemon.DaemonContext", "daemon.daemon.DaemonContext"}
_FORKS = {
    "os.fork",
    "os.forkpty",
    "multiprocessing.Process",
    "multiprocessing.Pool",
    "multiprocessing.pool.Pool",
    "multiprocessing.get_context().Process",
    "multiprocessing.get_context().Pool",
    "concurrent.futures.ProcessPoolExecutor",
}
_LEAVE_IT_HELD = {"acquire", "is_locked", "i_am_locking", "read_pid"}
_ATTRIBUTES = {"path", "lock_file", "unique_name", "hostname", "pid", "tname", "timeout"}


@dataclass(frozen=True, eq=False)
class Hold:
    """A lock, and what is run while it is held."""

    lock: Lock
    nodes: list[ast.AST]


def holds(program: Program) -> Iterator[Hold]:
    """The bodies of `with`, and what comes after acquire() up to release()."""
    for node in program.nodes:
        if isinstance(node, ast.With | ast.AsyncWith):
            for place, item in enumerate(node.items):
                lock = program.lock(item.context_expr)
                if lock is not None:
                    inside: list[ast.AST] = [*node.items[place + 1 :], *node.body]
                    yield Hold(lock, [part for one in inside for part in program.within(one)])
        elif isinstance(node, ast.Expr):
            match program.method(node.value):
                case (lock, "acquire"):
                    yield Hold(lock, list(_until_release(program, node, lock)))


def _until_release(program: Program, acquired: ast.stmt, lock: Lock) -> Iterator[ast.AST]:
    for statement in _following(program, acquired):
        for node in program.within(statement):
            match program.method(node):
                case (Lock(source=source), "release") if source is lock.source:
                    return
            yield node


def _following(program: Program, statement: ast.stmt) -> Iterator[ast.stmt]:
    """What is run after a statement: the rest of its block; if that is what a `try` tries, the rest of the `try` and beyond."""
    while True:
        around = program.parent(statement)
        blocks: list[list[ast.stmt]] = [
            block for _, block in ast.iter_fields(around or statement) if isinstance(block, list) and statement in block
        ]
        for block in blocks:
            yield from block[block.index(statement) + 1 :]
        if not isinstance(around, ast.Try) or statement not in around.body + around.orelse:
            return
        if statement in around.body:
            yield from around.orelse
        yield from around.finalbody
        statement = around


def nested_objects(program: Program) -> Iterator[Finding]:
    """A second object of a path is acquired while the first holds it."""
    for hold in holds(program):
        held = name_of(program, hold.lock.path)
        for node in hold.nodes:
            inner = program.lock(node.context_expr) if isinstance(node, ast.withitem) else None
            match program.method(node):
                case (lock, "acquire"):
                    inner = lock
            if held is None or inner is None or inner.source is hold.lock.source or inner.kind != hold.lock.kind:
                continue
            if inner.kind not in ("pid", "base") and name_of(program, inner.path) == held:
                yield (
                    node,
                    (
                        "lockfile gives the lock to a second object of the same thread, and pathlock raises LockFailed; "
                        "hold it once"
                    ),
                )


def fork_held(program: Program) -> Iterator[Finding]:
    """A process is made while a lock is held."""
    for hold in holds(program):
        if hold.lock.kind == "pid":
            continue
        for node in hold.nodes:
            called = program.called(node)
            if called in _FORKS:
                yield (
                    node,
                    (
                        "a forked child does not hold the lock, and its release() raises NotMyLock; "
                        "call adopt() in the child, if it is to go on with the lock"
                    ),
                )
            elif called in _DAEMONS:
                yield (
                    node,
                    (
                        "this closes the lock's file and ends the process that holds the lock; "
                        "acquire it inside, or pass it as `pidfile`"
                    ),
                )


def not_released(program: Program) -> Iterator[Finding]:
    """A lock is acquired and nothing releases it: a mark that outlives the program."""
    released = set(_released(program))
    for acquired, lock in _acquired_for_good(program):
        path = name_of(program, lock.path)
        # Another object of the same path may release it.
        if path not in released and (path is not None or not released):
            yield (
                acquired,
                (
                    "nothing releases this lock; lockfile leaves it held when the program ends, and pathlock releases it then; "
                    "use `with`, or a file of your own if a mark is to stay"
                ),
            )


def _released(program: Program) -> Iterator[str | None]:
    """The paths of the locks that the program releases."""
    for node in program.nodes:
        if isinstance(node, ast.withitem):
            lock = program.lock(node.context_expr)
        else:
            match program.member(node):
                case (lock, "release" | "__exit__" | "break_lock"):
                    pass
                case _:
                    continue
        if lock is not None:
            yield name_of(program, lock.path)


def _acquired_for_good(program: Program) -> Iterator[tuple[ast.AST, Lock]]:
    """Where an object is made and acquires, and has no other use that could release it."""
    for node in program.nodes:
        match program.method(node):
            case (lock, "acquire") if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if lock.call is node.func.value:
                    yield node, lock
    functions = [node for node in program.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for scope in [program.module, *map(program.opened, functions)]:
        for name, bound in scope.bindings.items():
            match bound:
                case [(ast.Call() as made, _)] if isinstance(program.parent(made), ast.Assign | ast.AnnAssign):
                    kept = program.lock(made)
                    acquired = _first_acquire(program, name, scope) if kept and kept.call is made else None
                    if kept is not None and acquired is not None:
                        yield acquired, kept


def _first_acquire(program: Program, name: str, scope: Scope) -> ast.AST | None:
    """Where the lock called `name` is acquired first, if no other use could release it."""
    first = None
    for node in program.nodes:
        if not isinstance(node, ast.Name) or node.id != name or not isinstance(node.ctx, ast.Load):
            continue
        if program.scope(node).finds(name) is not scope:
            continue
        around = program.parent(node)
        attribute = around.attr if isinstance(around, ast.Attribute) else ""
        if attribute not in _LEAVE_IT_HELD | _ATTRIBUTES or (
            program.function(node) is not scope and scope is not program.module
        ):
            return None
        call = program.parent(around) if around is not None else None
        if attribute == "acquire" and first is None and isinstance(call, ast.Call):
            first = call
    return first


RULES = {
    "nested-objects": nested_objects,
    "fork-held": fork_held,
    "not-released": not_released,
}

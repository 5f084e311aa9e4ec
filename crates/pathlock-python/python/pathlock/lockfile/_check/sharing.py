"""Findings about lock objects that threads or processes share.

lockfile settles who the owner is when it makes the object. Whoever uses that object later is that owner: threads that were given
it, and children forked from the process, all hold the lock at once. With pathlock.lockfile the owner is who acquires.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from .files import Finding
from .names import Lock, Made, Program
from .scopes import Scope

# The full names of what starts something, and where its arguments have the function.
_THREADS = {
    "threading.Thread": 1,
    "threading.Timer": 1,
    "_thread.start_new_thread": 0,
    "asyncio.to_thread": 0,
}
_PROCESSES = {
    "multiprocessing.Process": 1,
    "multiprocessing.get_context().Process": 1,
}
_THREAD_POOLS = {
    "concurrent.futures.ThreadPoolExecutor",
    "concurrent.futures.thread.ThreadPoolExecutor",
    "multiprocessing.pool.ThreadPool",
    "multiprocessing.dummy.Pool",
}
_PROCESS_POOLS = {
    "concurrent.futures.ProcessPoolExecutor",
    "concurrent.futures.process.ProcessPoolExecutor",
    "multiprocessing.Pool",
    "multiprocessing.pool.Pool",
    "multiprocessing.get_context().Pool",
}
_POOL_METHODS = {
    "submit",
    "map",
    "imap",
    "imap_unordered",
    "starmap",
    "apply",
    "apply_async",
    "map_async",
    "starmap_async",
}
_LOOPS = ast.For | ast.AsyncFor | ast.While | ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


@dataclass(frozen=True, eq=False)
class Start:
    """A call that runs a function elsewhere, once or many times."""

    call: ast.Call
    function: ast.expr | None
    arguments: list[ast.expr]
    many: bool


def _starts(program: Program, plain: dict[str, int], pools: set[str]) -> Iterator[Start]:
    for node in program.nodes:
        if not isinstance(node, ast.Call):
            continue
        place = plain.get(program.called(node) or "")
        if place is not None:
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            function = keywords.get("target", keywords.get("function"))
            if function is None and len(node.args) > place:
                function = node.args[place]
            many = any(isinstance(around, _LOOPS) for around in program.ancestors(node))
            yield Start(node, function, [*node.args, *keywords.values()], many)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _POOL_METHODS and node.args:
            pool = program.value(node.func.value)
            if isinstance(pool, Made) and pool.dotted in pools:
                yield Start(node, node.args[0], node.args[1:], many=True)


def _shared(program: Program, starts: Iterator[Start]) -> Iterator[ast.Call]:
    """The calls that hand a lock object to a second user."""
    reached: dict[ast.AST, list[Start]] = defaultdict(list)
    for start in starts:
        for source in _reached(program, start):
            reached[source].append(start)
    for source, users in reached.items():
        inside = [_body(program, start.function) for start in users]
        if any(start.many for start in users) or len(users) > 1 or _acquired_outside(program, source, inside):
            yield from (start.call for start in users)


def _reached(program: Program, start: Start) -> set[ast.AST]:
    """The locks that the started function is given, or finds around it."""
    given = [part for argument in start.arguments for part in _parts(argument)]
    locks = [program.lock(argument) for argument in given]
    if isinstance(start.function, ast.Attribute):
        locks.append(program.lock(start.function.value))
    body = _body(program, start.function)
    if body is not None:
        own = set(program.within(body.node, functions=True))
        locks += [lock for _, lock in _acquired(program, own) if lock.source not in own]
    return {lock.source for lock in locks if lock is not None and lock.kind not in ("pid", "base")}


def _parts(argument: ast.expr) -> list[ast.expr]:
    if isinstance(argument, ast.Tuple | ast.List):
        return argument.elts
    if isinstance(argument, ast.Dict):
        return argument.values
    return [argument]


def _body(program: Program, function: ast.expr | None) -> Scope | None:
    if isinstance(function, ast.Lambda):
        return program.opened(function)
    body = program.value(function) if function is not None else None
    return body if isinstance(body, Scope) and body.is_function else None


def _acquired(program: Program, nodes: set[ast.AST]) -> Iterator[tuple[ast.AST, Lock]]:
    """Where a lock is acquired."""
    for node in nodes:
        lock = program.lock(node.context_expr) if isinstance(node, ast.withitem) else None
        match program.method(node):
            case (acquired, "acquire"):
                lock = acquired
        if lock is not None:
            yield node, lock


def _acquired_outside(program: Program, source: ast.AST, bodies: list[Scope | None]) -> bool:
    inside = {node for body in bodies if body for node in program.within(body.node, functions=True)}
    return any(lock.source is source for node, lock in _acquired(program, set(program.nodes) - inside))


def _made_by_another(program: Program, base: str) -> Iterator[ast.AST]:
    """The locks that a thread or process made of a class finds in itself, made by who made the object."""
    for node in program.nodes:
        if not isinstance(node, ast.ClassDef) or base not in program.bases(program.opened(node)):
            continue
        match program.opened(node).bindings.get("run"):
            case [(Scope() as run, _)]:
                own = set(program.within(run.node, functions=True))
                for _, lock in _acquired(program, own):
                    if lock.call is not None and lock.source not in own and lock.kind not in ("pid", "base"):
                        yield lock.source


def shared_by_threads(program: Program) -> Iterator[Finding]:
    users = [
        *_shared(program, _starts(program, _THREADS, _THREAD_POOLS)),
        *_made_by_another(program, "threading.Thread"),
    ]
    for node in users:
        yield (
            node,
            (
                "lockfile lets all threads that have this lock hold it at once, and pathlock one at a time; "
                "see that none waits for another while it holds the lock"
            ),
        )


def shared_by_processes(program: Program) -> Iterator[Finding]:
    users = [
        *_shared(program, _starts(program, _PROCESSES, _PROCESS_POOLS)),
        *_made_by_another(program, "multiprocessing.Process"),
    ]
    for node in users:
        yield (
            node,
            (
                "lockfile lets all processes that have this lock hold it at once, and pathlock one at a time; "
                "see that none waits for another while it holds the lock"
            ),
        )


RULES = {
    "shared-by-threads": shared_by_threads,
    "shared-by-processes": shared_by_processes,
}

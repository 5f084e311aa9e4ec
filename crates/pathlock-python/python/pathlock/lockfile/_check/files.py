"""Findings about files: what a program does with the files that it expects a lock to be made of.

lockfile has a second file beside the lock, or in its directory; a pid file of one line; and a lock file that is there exactly
while the lock is held. None of this is so with pathlock.lockfile.
"""

from __future__ import annotations

import ast
import ntpath
import posixpath
from collections.abc import Iterator

from .names import Lock, Program

Finding = tuple[ast.AST, str]
"""Where, and what changes; what to do."""

_IS_THERE = {f"os.path.{name}" for name in ("exists", "lexists", "isfile", "isdir", "islink")}
_TOUCHES = _IS_THERE | {
    *(f"os.path.{name}" for name in ("getmtime", "getctime", "getatime", "getsize", "samefile")),
    *(
        f"os.{name}"
        for name in ("stat", "lstat", "access", "open", "unlink", "remove", "rename", "replace", "link", "utime")
    ),
    *(f"shutil.{name}" for name in ("copy", "copy2", "copyfile", "move")),
    "open",
    "io.open",
}
_LISTS = {"os.listdir", "os.scandir", "os.walk", "glob.glob", "glob.iglob"}
_PATH_LISTS = {"iterdir", "glob", "rglob", "walk"}
_PATH_IS_THERE = {"exists", "is_file", "is_dir", "is_symlink"}
_PATH_TOUCHES = _PATH_IS_THERE | {
    "stat",
    "lstat",
    "open",
    "read_text",
    "read_bytes",
    "unlink",
    "touch",
    "rename",
    "replace",
}
_PATH_CLASSES = {"pathlib.Path", "pathlib.PosixPath", "pathlib.PurePath"}
_WRAPS = {"str", "os.fspath", "os.path.abspath", "os.path.realpath", *_PATH_CLASSES}


def name_of(program: Program, path: ast.expr | None) -> str | None:
    """The same text for expressions that are the same path: `f"{base}.lock"` and `base + ".lock"`."""
    if path is None:
        return None
    path = program.written(path)
    match path:
        case ast.Constant(value=str() as text):
            return text
        case ast.Name(id=name):
            scope = program.scope(path).finds(name)
            return f"{{{name} {id(scope)}}}" if scope is not None and len(scope.bindings[name]) == 1 else None
        case ast.Attribute(value=ast.Name() as base, attr=attribute):
            of = name_of(program, base)
            return of and f"{of}.{attribute}"
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return name_of(program, value)
        case ast.JoinedStr(values=values):
            return _joined(program, values, "")
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined(program, [left, right], "")
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _joined(program, [left, right], "/")
        case ast.Call(args=[argument]) if program.called(path) in _WRAPS:
            return name_of(program, argument)
        case ast.Call(args=arguments) if program.called(path) == "os.path.join":
            return _joined(program, arguments, "/")
    return None


def _joined(program: Program, parts: list[ast.expr], between: str) -> str | None:
    names = [name_of(program, part) for part in parts]
    return None if None in names else between.join(name or "" for name in names)


def locks_made(program: Program) -> Iterator[Lock]:
    """Every lock that is made by a call of its class."""
    for node in program.nodes:
        lock = program.lock(node) if isinstance(node, ast.Call) else None
        if lock is not None and lock.call is node:
            yield lock


def _file(program: Program, call: ast.AST) -> tuple[str, ast.expr] | None:
    """What is done to which file: the full name of the function or the bare name of the method of a `Path`, and the path."""
    if not isinstance(call, ast.Call):
        return None
    name = program.called(call)
    if isinstance(call.func, ast.Attribute):
        path = program.written(call.func.value)
        if isinstance(path, ast.Call) and path.args and program.called(path) in _PATH_CLASSES:
            return call.func.attr, path.args[0]
    return (name, call.args[0]) if name is not None and call.args else None


def unique_file(program: Program) -> Iterator[Finding]:
    """A file `unique_name` is looked for, or the hard links of the lock file are counted."""
    for node in program.nodes:
        match _file(program, node):
            case (done, path) if done in _TOUCHES | _PATH_TOUCHES:
                match program.member(path):
                    case (Lock(kind=kind), "unique_name") if kind != "pid":
                        yield (
                            node,
                            "`unique_name` is a name alone, and no file on disk has it; ask i_am_locking() or is_locked()",
                        )
            case ("os.readlink" | "readlink", path):
                match program.member(path):
                    case (_, "lock_file"):
                        yield node, "the link's target is a record of the owner, not `unique_name`; ask i_am_locking()"
        if isinstance(node, ast.Attribute) and node.attr == "st_nlink":
            match _file(program, program.written(node.value)):
                case ("os.stat" | "os.lstat" | "stat" | "lstat", path):
                    match program.member(path):
                        case (_, "lock_file"):
                            yield (
                                node,
                                "the lock file has one name, not two, while it is held; ask i_am_locking() or is_locked()",
                            )


def lock_file_exists(program: Program) -> Iterator[Finding]:
    """A lock is taken for held because its file is there."""
    lock_files = set()
    for lock in locks_made(program):
        name = name_of(program, lock.path)
        if name is not None and lock.kind != "sqlite":
            lock_files.add(name if lock.kind == "pid" else name + ".lock")
    for node in program.nodes:
        match _file(program, node):
            case (done, path) if done in _IS_THERE | _PATH_IS_THERE:
                match program.member(path):
                    case (Lock(kind="pid"), attribute):
                        is_lock_file = attribute == "path"
                    case (_, attribute):
                        is_lock_file = attribute == "lock_file"
                    case _:
                        is_lock_file = name_of(program, path) in lock_files
                if is_lock_file:
                    yield node, "the lock file of a dead owner is there though the lock is not held; ask is_locked()"


def files_beside(program: Program) -> Iterator[Finding]:
    """The directory of a lock file is listed, or the directory that is one."""
    for node in program.nodes:
        if not isinstance(node, ast.Call):
            continue
        listed: list[ast.AST] = list(node.args) if program.called(node) in _LISTS else []
        if isinstance(node.func, ast.Attribute) and node.func.attr in _PATH_LISTS:
            listed.append(node.func.value)
        for part in (part for listed_part in listed for part in program.within(listed_part)):
            match program.member(part):
                case (Lock(kind=kind), "lock_file" | "unique_name") if kind != "pid":
                    yield (
                        node,
                        "there is no second file beside the lock file, and those in it have other names; ask is_locked()",
                    )
                    break


def pid_file_lines(program: Program) -> Iterator[Finding]:
    """The whole text of a pid file is taken for a number."""
    pid_files = {name_of(program, lock.path) for lock in locks_made(program) if lock.kind == "pid"} - {None}
    for node in program.nodes:
        if isinstance(node, ast.Call) and program.called(node) == "int" and node.args:
            path = _read_whole(program, node.args[0])
            if path is None:
                continue
            match program.member(path):
                case (Lock(kind="pid"), "path"):
                    is_pid_file = True
                case _:
                    is_pid_file = name_of(program, path) in pid_files
            if is_pid_file:
                yield (
                    node,
                    "the pid file has more lines than that of the pid, so this raises ValueError; use read_pid()",
                )


def _read_whole(program: Program, text: ast.expr) -> ast.expr | None:
    """The path of the file whose whole text this is."""
    text = program.written(text)
    while isinstance(text, ast.Call) and isinstance(text.func, ast.Attribute):
        if text.func.attr in ("read", "read_text", "read_bytes"):
            break
        if text.func.attr not in ("strip", "rstrip", "decode"):
            return None
        text = program.written(text.func.value)
    if not isinstance(text, ast.Call) or not isinstance(text.func, ast.Attribute):
        return None
    if text.func.attr == "read" and text.args:
        return None
    match _file(program, text), _file(program, program.written(text.func.value)):
        case ("read_text" | "read_bytes", path), _:
            return path
        case _, ("open" | "io.open", path):
            return path
    return None


def relative_pid_file(program: Program) -> Iterator[Finding]:
    """A pid file is named from a directory that the program leaves."""
    leaves = {"os.chdir", "os.fchdir", "daemon.DaemonContext", "daemon.daemon.DaemonContext"}
    if not any(program.called(node) in leaves for node in program.nodes):
        return
    for lock in locks_made(program):
        path = program.written(lock.path) if lock.path is not None else None
        match path:
            case ast.Constant(value=str() as text) if lock.kind == "pid":
                if posixpath.isabs(text) or ntpath.isabs(text):
                    continue
                yield (
                    lock.source,
                    (
                        "after chdir() lockfile looks for the pid file in the new directory, and pathlock in the old one; "
                        "give an absolute path"
                    ),
                )


RULES = {
    "unique-file": unique_file,
    "lock-file-exists": lock_file_exists,
    "files-beside": files_beside,
    "pid-file-lines": pid_file_lines,
    "relative-pid-file": relative_pid_file,
}

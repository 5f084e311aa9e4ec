"""What in a program would behave differently with pathlock.lockfile than with lockfile 0.12.2.

The program is read and not run: nothing of it is imported. A file is parsed as the running interpreter parses it. The rules are in
the tables of `calls`, `files`, `holds` and `sharing`; a new one is a function and a line in one of them.
"""

from __future__ import annotations

import ast
import io
import os
import stat
import tokenize
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import calls, files, holds, sharing
from .names import Program

RULES: dict[str, Callable[[Program], Iterator[files.Finding]]] = {
    **calls.RULES,
    **files.RULES,
    **holds.RULES,
    **sharing.RULES,
}

NOTHING, FINDINGS, UNREADABLE = range(3)
"""The exit codes."""

_SUFFIXES = (".py", ".pyw")
_WORDS = (b"lockfile", b"daemon.pidfile", b"get_name")
"""A program with a finding has one of these in it."""


class NotAProgram(Exception):
    """The file can't be checked; why."""


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that changes, and what to do about it."""

    line: int
    column: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.text} [{self.rule}]"


def check_source(source: bytes) -> list[Difference]:
    """The differences that the text of one program shows, in the order of the text. Raises `NotAProgram`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        # Most programs of a large tree have nothing to do with locks.
        if not any(word in source for word in _WORDS):
            return []
        program = Program(tree)
        lines = _text(source).encode().splitlines()
        found = {
            Difference(*_place(program, node, lines), rule, text)
            for rule, find in RULES.items()
            for node, text in find(program)
        }
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        raise NotAProgram(f"{where}{error.msg}") from error
    except ValueError as error:
        raise NotAProgram(str(error)) from error
    except (RecursionError, MemoryError) as error:
        raise NotAProgram("it is nested too deeply") from error
    return sorted(found)


def _text(source: bytes) -> str:
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    return source.decode(encoding)


def _place(program: Program, node: ast.AST, lines: list[bytes]) -> tuple[int, int]:
    """Line and column, both from 1, of the first thing in `node` that has a place. Columns of `ast` are bytes, these characters."""
    for inner in program.within(node):
        if isinstance(inner, ast.stmt | ast.expr | ast.ExceptHandler):
            before = lines[inner.lineno - 1][: inner.col_offset]
            return inner.lineno, len(before.decode(errors="replace")) + 1
    return 1, 1


def programs(path: str, complain: Callable[[str, OSError], None]) -> Iterator[str]:
    """The files that are Python programs: the one that is named, or those below a directory.

    Below a directory, that is files with Python's suffixes, and those without any whose first line names Python. What is
    hidden is left out, and so are virtual environments. Links to directories are not followed. `complain` is told of directories
    that can't be read.
    """
    if not os.path.isdir(path):
        yield path
        return
    for directory, directories, names in os.walk(path, onerror=lambda error: complain(error.filename, error)):
        directories[:] = sorted(name for name in directories if not _is_left_out(os.path.join(directory, name)))
        for name in sorted(names):
            file = os.path.join(directory, name)
            if not name.startswith(".") and (name.endswith(_SUFFIXES) or ("." not in name and _is_script(file))):
                yield file


def _is_left_out(directory: str) -> bool:
    name = os.path.basename(directory)
    return name.startswith(".") or name == "__pycache__" or os.path.exists(os.path.join(directory, "pyvenv.cfg"))


def _is_script(file: str) -> bool:
    try:
        first = read(file, 128).partition(b"\n")[0]
    except (NotAProgram, OSError):
        return False
    return first.startswith(b"#!") and b"python" in first


def read(file: str, size: int = -1) -> bytes:
    """The bytes of a regular file. Raises `NotAProgram`, or `OSError`."""
    # Opening a pipe would wait for somebody who writes.
    if not stat.S_ISREG(os.stat(file).st_mode):
        raise NotAProgram("it is not a regular file")
    with open(file, "rb") as opened:
        return opened.read(size)

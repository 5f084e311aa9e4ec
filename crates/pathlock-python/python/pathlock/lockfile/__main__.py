"""`python -m pathlock.lockfile --check PATH…`: what changes for a program when pathlock.lockfile takes lockfile's place."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterable, Sequence

from ._check import FINDINGS, NOTHING, UNREADABLE, Difference, NotAProgram, check_source, programs, read

_EXIT_CODES = """\
exit codes:
  0  nothing found
  1  findings
  2  wrong arguments, or something could not be read; the rest was checked
"""


def check(paths: Iterable[str]) -> int:
    """Checks files, and all programs below directories. Prints a line for each finding; returns the exit code."""
    checked = found = unread = 0
    seen: set[tuple[int, int]] = set()

    def complain(path: str, why: str | None) -> None:
        nonlocal unread
        unread += 1
        print(f"{_printable(path)}: can't be checked: {why}", file=sys.stderr)

    for path in paths:
        any_program = False
        for program in programs(path, lambda directory, error: complain(directory, error.strerror)):
            any_program = True
            try:
                differences = _differences(program, seen)
            except NotAProgram as error:
                complain(program, str(error))
            except OSError as error:
                complain(program, error.strerror)
            else:
                checked += differences is not None
                for difference in differences or ():
                    found += 1
                    print(f"{_printable(program)}:{difference}")
        if not any_program:
            print(f"{_printable(path)}: no Python program is below this directory", file=sys.stderr)
    print(f"pathlock.lockfile: {checked} programs checked, {found} findings", file=sys.stderr)
    return UNREADABLE if unread else FINDINGS if found else NOTHING


def _differences(program: str, seen: set[tuple[int, int]]) -> list[Difference] | None:
    """None for a file that was checked before by another name."""
    status = os.stat(program)
    if (status.st_dev, status.st_ino) in seen:
        return None
    seen.add((status.st_dev, status.st_ino))
    return check_source(read(program))


def _printable(path: str) -> str:
    """The path on one line, whatever is in its name."""
    return path if path.isprintable() else path.encode("unicode_escape", "backslashreplace").decode()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m pathlock.lockfile",
        description="Says what in programs that use lockfile 0.12.2 would behave differently with pathlock.lockfile. "
        "The programs are read, not run.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--check",
        action="extend",
        nargs="+",
        required=True,
        metavar="PATH",
        help="a Python program, or a directory with programs in it",
    )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return check(parser.parse_args(arguments).check)
    except BrokenPipeError:  # Whoever read the findings has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINDINGS


if __name__ == "__main__":
    sys.exit(main())

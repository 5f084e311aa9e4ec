"""`python -m pathlock.lockfile --check` says what in a program would behave differently, and where."""

import errno
import os
import subprocess
import sys
import textwrap

import pytest
from pathlock.lockfile import _check
from pathlock.lockfile.__main__ import main
from programs import ALIKE, DIFFERENT


def found(program):
    """What is found in a program: the lines and the rules."""
    return [(difference.line, difference.rule) for difference in _check.check_source(program.encode())]


def expected(program):
    lines = enumerate(program.splitlines(), 1)
    marked = ((number, line.rpartition("  # ")[2]) for number, line in lines if "  # " in line)
    return [(number, rule) for number, rule in marked if rule in _check.RULES]


@pytest.mark.parametrize("rule", _check.RULES)
def test_every_rule_finds_its_difference_in_that_very_line(rule):
    program = textwrap.dedent(DIFFERENT[rule])
    where = [entry for entry in found(program) if entry[1] == rule]
    assert expected(program), f"the example of {rule} marks no line"
    assert where == expected(program), f"what {rule} finds in its example"


@pytest.mark.parametrize("rule", _check.RULES)
def test_no_rule_finds_a_difference_where_there_is_none(rule):
    where = [entry for entry in found(textwrap.dedent(ALIKE[rule])) if entry[1] == rule]
    assert where == [], f"{rule} finds something in a program that behaves the same"


def test_all_examples_belong_to_a_rule():
    assert DIFFERENT.keys() == ALIKE.keys() == _check.RULES.keys(), "the rules and the examples"


SPELLINGS = [
    "import lockfile\nlock = lockfile.LockFile('a')",
    "import lockfile as lf\nlock = lf.FileLock('a')",
    "import lockfile.linklockfile\nlock = lockfile.linklockfile.LinkLockFile('a')",
    "from lockfile import linklockfile\nlock = linklockfile.LinkLockFile('a')",
    "from lockfile.linklockfile import LinkLockFile as Link\nlock = Link('a')",
    "from pathlock.lockfile import LockFile\nlock = LockFile('a')",
    "from pathlock import lockfile\nlock = lockfile.LockFile('a')",
    "from lockfile import *\nlock = LinkFileLock('a')",
    "from lockfile import LockFile\nclass Own(LockFile): pass\nclass Third(Own): pass\nlock = Third('a')",
    "import lockfile\nmodule = lockfile\nlock = module.LockFile('a')",
    "from lockfile import LockFile\nlock = None\ndef make():\n    global lock\n    lock = LockFile('a')",
    "from lockfile import LockFile\nwith LockFile('a') as lock: pass",
    "from lockfile import LockFile\nother, lock = 1, LockFile('a')",
    "from lockfile import LockFile\nif (lock := LockFile('a')): pass",
    "from lockfile import LockFile\nfrom typing import Optional\nlock: Optional[LockFile] = None",
    "from lockfile import LockFile\nlock: 'LockFile | None'",
    "try:\n    from lockfile import LockFile\nexcept ImportError:\n    LockFile = None\nlock = LockFile('a')",
    "from lockfile import LockFile\nclass Job:\n    def __init__(self): self.lock = LockFile('a')\nlock = Job().lock",
]


@pytest.mark.parametrize("program", SPELLINGS)
def test_a_lock_is_known_by_whatever_name_it_is_imported_and_kept(program):
    lines = len(program.splitlines())
    rules = found(f"{program}\nimport os\nos.stat(lock.unique_name)\n")
    assert (lines + 2, "unique-file") in rules, f"what is found of a lock after {program!r}"


OTHERS = [
    "from filelock import FileLock\nlock = FileLock('a')",
    "from .lockfile import LockFile\nlock = LockFile('a')",
    "import lockfile\nlock = lockfile.something('a')",
    "from lockfile import LockFile\nlock = LockFile('a')\nlock = object()",
    "from lockfile import LockFile\nlock = LockFile('a')\ndef f(lock): pass\nlock = f",
    "from lockfile import LockFile\nlocks = [LockFile('a')]\nfor lock in locks: pass",
    "a = b\nb = a\nlock = a.b",
    "class A(A): pass\nlock = A()",
]


@pytest.mark.parametrize("program", OTHERS)
def test_what_may_be_something_else_is_not_taken_for_a_lock(program):
    assert found(f"{program}\nimport os\nos.stat(lock.unique_name)\n") == [], f"what is found after {program!r}"


def test_the_parameters_of_functions_are_known_by_their_annotations():
    program = (
        "import os, lockfile\n"
        "def known(lockfile: lockfile.LockFile): os.stat(lockfile.unique_name)\n"
        "def unknown(lock): os.stat(lock.unique_name)\n"
        "def hidden(): return [lock for lock in () if os.stat(lock.unique_name)]\n"
    )
    assert found(program) == [(2, "unique-file")], "only the annotated parameter is a lock"


def test_a_column_counts_characters_from_one():
    source = "import os, lockfile\n'ÄÖÜ😀'; os.stat(lockfile.LockFile('ß').unique_name)\n"
    (difference,) = _check.check_source(source.encode())
    assert (difference.line, difference.column) == (2, 9), "the call begins at the ninth character"


def test_a_program_in_another_encoding_is_read():
    source = "# coding: latin-1\nimport os, lockfile\n'ÄÖ'; os.stat(lockfile.LockFile('ß').unique_name)\n"
    (difference,) = _check.check_source(source.encode("latin-1"))
    assert (difference.line, difference.column) == (3, 7), "its lines and columns are those of its characters"


def test_a_mark_of_the_byte_order_is_no_part_of_the_text():
    (difference,) = _check.check_source("\ufefffrom lockfile import *\n".encode())
    assert (difference.line, difference.column) == (1, 1), "the statement is the first of the file"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"print 'Python 2'\n", "line 1: "),
        (b"x = '\xff'\n", "utf-8"),
        (b"# coding: nonsense\n", "nonsense"),
        (b"x = 1\0\n", "null"),
    ],
)
def test_what_python_can_not_parse_is_not_a_program(source, said):
    with pytest.raises(_check.NotAProgram) as raised:
        _check.check_source(source)
    assert said in str(raised.value), f"the message about {source!r} says why"


def test_a_sum_of_ten_thousand_terms_is_read_or_refused():
    source = b"import lockfile\nx = " + b" + ".join([b"1"] * 10_000) + b"\nfrom lockfile import *\n"
    try:
        differences = _check.check_source(source)
    except _check.NotAProgram as refusal:
        assert "deep" in str(refusal), "it is refused for its depth, and not with a crash"
    else:
        assert [difference.line for difference in differences] == [3], "what comes after the sum is found"


# The command


def run(*arguments, cwd):
    command = [sys.executable, "-m", "pathlock.lockfile", *map(str, arguments)]
    # The interpreter would look for modules in the directory, which is the test's.
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "ascii"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=60)


DIFFERS = "from lockfile import *\n"


def test_a_finding_is_one_line_that_an_editor_can_follow(tmp_path):
    (tmp_path / "job.py").write_text("import os\n" + DIFFERS)
    ended = run("--check", "job.py", cwd=tmp_path)
    assert ended.stdout == (
        "job.py:2:1: this binds LockFile and FileLock too; import the names that are used [star-import]\n"
    ), "file, line, column, what changes, what to do, rule"
    assert ended.returncode == 1, "something was found"
    assert ended.stderr == "pathlock.lockfile: 1 programs checked, 1 findings\n", "the sum is not among the findings"


def test_nothing_is_printed_about_a_program_that_behaves_the_same(tmp_path):
    (tmp_path / "job.py").write_text("import lockfile\n")
    ended = run("--check", "job.py", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, ""), "there is nothing to say"


def test_directories_are_searched_for_programs(tmp_path):
    for name in ["a.py", "sub/b.pyw", "sub/deep/c.py"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(DIFFERS)
    (tmp_path / "script").write_text("#!/usr/bin/env python3\n" + DIFFERS)
    (tmp_path / "other").write_text("#!/bin/sh\n" + DIFFERS)
    for name in ["notes.txt", ".hidden.py", ".git/x.py", "__pycache__/y.py", "venv/lib/z.py", "venv/pyvenv.cfg"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(DIFFERS)
    ended = run("--check", ".", cwd=tmp_path)
    files = [line.partition(":")[0] for line in ended.stdout.splitlines()]
    assert files == ["./a.py", "./script", "./sub/b.pyw", "./sub/deep/c.py"], "programs, and no others"


def test_a_program_with_two_names_is_checked_once(tmp_path):
    (tmp_path / "a.py").write_text(DIFFERS)
    (tmp_path / "b.py").symlink_to("a.py")
    ended = run("--check", "a.py", ".", cwd=tmp_path)
    assert ended.stdout.count("star-import") == 1, "one finding for one file"


def test_links_that_lead_in_circles_end(tmp_path):
    (tmp_path / "a.py").write_text(DIFFERS)
    (tmp_path / "round").symlink_to(".")
    ended = run("--check", ".", cwd=tmp_path)
    assert (ended.returncode, ended.stdout.count("\n")) == (1, 1), "the directory is searched once"


@pytest.mark.parametrize("kind", ["syntax", "encoding", "circle", "missing", "pipe"])
def test_what_can_not_be_read_is_said_and_the_others_are_checked(kind, tmp_path):
    unreadable = tmp_path / "x.py"
    if kind == "syntax":
        unreadable.write_text("print 'hello'\n")
    elif kind == "encoding":
        unreadable.write_bytes(b"name = '\xe9'\n")
    elif kind == "circle":
        unreadable.symlink_to("x.py")
    elif kind == "pipe":
        os.mkfifo(unreadable)
    (tmp_path / "y.py").write_text(DIFFERS)
    ended = run("--check", "x.py", "y.py", cwd=tmp_path)
    assert ended.returncode == 2, "not everything was checked"
    assert ended.stderr.startswith("x.py: can't be checked: "), f"the file and the reason: {ended.stderr}"
    assert "Traceback" not in ended.stderr, "an unreadable file is no fault of the checker"
    assert ended.stdout.startswith("y.py:1:1: "), "the other file was checked"


def test_a_directory_that_may_not_be_read_is_said(tmp_path, monkeypatch, capsys):
    (tmp_path / "closed").mkdir()
    (tmp_path / "y.py").write_text(DIFFERS)
    scandir = os.scandir

    # Root may read every directory, so its permissions would prove nothing.
    def refuse(path):
        if os.path.basename(path) == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert main(["--check", str(tmp_path)]) == 2, "not everything was checked"
    printed = capsys.readouterr()
    assert "closed: can't be checked: Permission denied" in printed.err, "which directory it was, and why"
    assert "y.py:1:1: " in printed.out, "the rest was checked"


def test_a_directory_without_programs_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    ended = run("--check", "empty", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, ""), "nothing was found"
    assert "empty: no Python program is below this directory" in ended.stderr, "and not since all was well"


def test_a_name_that_is_no_text_is_printed_on_one_line(tmp_path):
    with open(os.path.join(os.fsencode(tmp_path), b"a\xff\nb.py"), "w") as program:
        program.write(DIFFERS)
    ended = run("--check", ".", cwd=tmp_path)
    assert ended.returncode == 1, f"it can be checked: {ended.stderr}"
    assert ended.stdout.count("\n") == 1, f"one line for one finding: {ended.stdout!r}"


@pytest.mark.parametrize("arguments", [[], ["--check"], ["job.py"], ["--chekc", "job.py"]])
def test_wrong_arguments_are_refused(arguments, tmp_path):
    ended = run(*arguments, cwd=tmp_path)
    assert ended.returncode == 2, f"the exit code of {arguments}"
    assert ended.stderr.startswith("usage: python -m pathlock.lockfile"), "what would be right"


def test_nothing_of_the_program_is_run(tmp_path):
    (tmp_path / "job.py").write_text("import os\nos.mkdir('ran')\nraise SystemExit(7)\n")
    ended = run("--check", "job.py", cwd=tmp_path)
    assert ended.returncode == 0, "there is nothing about locks in it"
    assert sorted(os.listdir(tmp_path)) == ["job.py"], "it has not made its directory"


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    (tmp_path / "job.py").write_text(DIFFERS * 5000)
    command = [sys.executable, "-m", "pathlock.lockfile", "--check", "job.py"]
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    child.stdout.readline()
    child.stdout.close()
    said = child.stderr.read()
    child.stderr.close()
    assert child.wait(60) == 1, "there were findings"
    assert "Traceback" not in said, "nobody wants to see that"

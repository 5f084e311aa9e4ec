"""What `docs/python.md` shows works: its examples, each cell of its tables with code in it, its links.

Comments that a reader doesn't see say how: `with` has code to be run before an example, `continues` an example that begins where
the one before ends, `not run` what needs a network, and `table` what the two columns of a table find. A comment behind a `print` is
what it prints.
"""

import ast
import asyncio
import inspect
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import pytest
from pathlock.lockfile import _check

PAGE = Path(__file__).resolve().parents[3] / "docs" / "python.md"
PRINTS = re.compile(r"^( *)print\((.*)\) +# (.*)$")
NOTHING = "\N{EN DASH}"


@dataclass
class Block:
    language: str
    line: int
    text: str = ""
    before: str = ""
    is_run: bool = True


@dataclass
class Table:
    setup: dict[str, str]
    rows: list[list[str]] = field(default_factory=list)


def read(page):
    """The fenced blocks of a page, each with what is to be run before it, and its tables of code."""
    blocks, tables = [], []
    hidden, program = "", ""
    lines = enumerate(page.splitlines(), 1)
    for number, line in lines:
        if line.startswith("<!--"):
            hidden = line
            while not hidden.endswith("-->"):
                hidden += "\n" + next(lines)[1]
            hidden = hidden.removeprefix("<!--").removesuffix("-->").strip()
        elif line.startswith("```"):
            block = Block(line[3:], number, is_run=hidden != "not run")
            while (line := next(lines)[1]) != "```":
                block.text += line + "\n"
            if hidden == "continues":
                block.before = program
            elif hidden.startswith("with\n"):
                block.before = hidden.removeprefix("with\n") + "\n"
            if block.language == "python":
                program = block.before + block.text
            blocks.append(block)
            hidden = ""
        elif line.startswith("|") and hidden.startswith("table\n"):
            if not tables or tables[-1].setup is not hidden:
                tables.append(Table(hidden))
            tables[-1].rows.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif hidden.startswith("table\n") and not line:
            hidden = ""
    return blocks, [Table(sides(table.setup), table.rows[2:]) for table in tables]


def sides(hidden):
    setup = {"theirs": "", "ours": ""}
    for line in hidden.splitlines()[1:]:
        side, _, code = line.partition(": ")
        setup[side] += code + "\n"
    return setup


TEXT = PAGE.read_text()
BLOCKS, TABLES = read(TEXT)
PYTHON = [block for block in BLOCKS if block.language == "python" and block.is_run]
CONSOLE = [block for block in BLOCKS if block.language == "console" and block.is_run]
CELLS = [
    pytest.param(table.setup[side], cell[1:-1], id=cell[1:-1])
    for table in TABLES
    for row in table.rows
    for side, cell in zip(("theirs", "ours"), row[:2], strict=True)
    if cell != NOTHING
]


def ids(block):
    return f"line-{block.line}"


@pytest.mark.parametrize("block", PYTHON, ids=ids)
def test_an_example_runs_and_prints_what_its_comments_say(block, tmp_path):
    expected, lines = {}, []
    for number, line in enumerate((block.before + block.text).splitlines()):
        found = PRINTS.match(line)
        if found is not None:
            indent, arguments, comment = found.groups()
            expected[number] = comment
            line = f'{indent}print("@{number}", {arguments})'
        lines.append(line)
    program = tmp_path / "program.py"
    program.write_text("\n".join(lines) + "\n")
    place = tmp_path / "place"
    place.mkdir()
    ended = subprocess.run([sys.executable, "-u", program], cwd=place, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, f"the example in line {block.line} of {PAGE.name}: {ended.stderr}"
    printed = {}
    for line in ended.stdout.splitlines():
        found = re.match(r"@(\d+) (.*)", line)
        if found is not None:
            printed.setdefault(int(found[1]), set()).add(found[2])
    assert printed == {number: {comment} for number, comment in expected.items()}, (
        "what it prints, by line, and its comments"
    )


@pytest.mark.parametrize("block", CONSOLE, ids=ids)
def test_a_command_prints_what_is_shown(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(block.before, {})
    shown = block.text.replace("$ python ", f"$ {sys.executable} ")
    for part in shown.split("$ ")[1:]:
        command, _, output = part.partition("\n")
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
        ended = subprocess.run(
            command,
            shell=True,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert ended.stdout == output, f"what `{command}` prints"


@pytest.mark.parametrize(("setup", "cell"), CELLS)
def test_each_spelling_in_the_tables_works(setup, cell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {"__name__": "cell"}
    with mock.patch.dict(sys.modules):
        exec(setup, scope)
        code = compile(cell, cell, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(eval(code, scope))
        else:
            exec(code, scope)


def test_every_cell_is_one_piece_of_code_or_nothing():
    for table in TABLES:
        for row in table.rows:
            for cell in row[:2]:
                is_code = re.fullmatch("`[^`]+`", cell) is not None
                assert cell == NOTHING or is_code, f"a cell that can't be run: {cell}"


def test_there_is_a_table_for_each_of_the_rivals():
    rivals = {table.setup["theirs"].split()[1].rstrip(",") for table in TABLES}
    assert rivals == {"lockfile", "asyncio", "fasteners", "portalocker", "zc.lockfile"}, "what the tables begin with"
    assert any("import asyncio, filelock" in table.setup["theirs"] for table in TABLES), "asyncio is for filelock's"


def test_the_page_names_every_rule_of_the_check():
    named = set(re.findall(r"^\| `([a-z-]+)` \|", TEXT, re.MULTILINE))
    assert named == set(_check.RULES), "the rules on the page, and those there are"


def anchors(text):
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)]*)\)", TEXT):
        file, _, anchor = target.partition("#")
        path = PAGE.parent / file if file else PAGE
        assert path.exists(), f"the file of the link {target}"
        assert not anchor or anchor in anchors(path.read_text()), f"the heading of the link {target}"


def test_every_example_is_read():
    assert len(PYTHON) == TEXT.count("```python"), "no example is left out"
    assert len(PYTHON) > 15 and len(CONSOLE) == 1 and len(TABLES) == 5, "the page is read as it is meant"

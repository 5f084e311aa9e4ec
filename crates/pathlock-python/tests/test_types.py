"""The package's types say what it does: mypy and pyright accept a program that uses all of it, and find the mistakes in another."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TYPED = Path(__file__).with_name("typed")
EXAMPLE = TYPED / "example.py"
WRONG = TYPED / "wrong.py"


def run(module, *arguments, cwd):
    # pyright looks for packages in the environment of the `python` that it finds, and asks the index for a newer pyright.
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    environment = {
        **os.environ,
        "PATH": path,
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
        "MYPY_CACHE_DIR": str(cwd / "mypy"),
    }
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240)


def mypy(cwd, *arguments):
    """The lines with errors, and what was said."""
    ended = run("mypy", "--strict", "--no-error-summary", *arguments, cwd=cwd)
    lines = {int(found[1]) for found in re.finditer(r"^[^:\n]+\.pyi?:(\d+): error: ", ended.stdout, re.MULTILINE)}
    assert ended.returncode == bool(lines), f"mypy itself fails: {ended.stdout}{ended.stderr}"
    return lines, ended.stdout


def pyright(cwd, *arguments):
    ended = run("pyright", "--outputjson", *arguments, cwd=cwd)
    assert ended.stdout.startswith("{"), f"pyright itself fails: {ended.stdout}{ended.stderr}"
    said = json.loads(ended.stdout)["generalDiagnostics"]
    lines = {one["range"]["start"]["line"] + 1 for one in said if one["severity"] == "error"}
    return lines, "\n".join(one["message"] for one in said)


checkers = pytest.mark.parametrize("check", [mypy, pyright])


@checkers
def test_a_program_that_uses_all_of_the_package_is_accepted(check, tmp_path):
    lines, said = check(tmp_path, EXAMPLE)
    assert lines == set(), f"it has no mistakes: {said}"


@checkers
def test_every_mistake_is_found_and_nothing_else(check, tmp_path):
    marked = {number for number, line in enumerate(WRONG.read_text().splitlines(), 1) if line.endswith("  # wrong")}
    lines, said = check(tmp_path, WRONG)
    assert lines == marked, f"the lines with mistakes: {said}"


def test_the_package_itself_is_accepted_by_mypy(tmp_path):
    lines, said = mypy(tmp_path, "-p", "pathlock")
    assert lines == set(), f"it has no mistakes: {said}"


def test_nothing_in_the_public_interface_has_an_unknown_type(tmp_path):
    ended = run("pyright", "--outputjson", "--ignoreexternal", "--verifytypes", "pathlock", cwd=tmp_path)
    found = json.loads(ended.stdout)["typeCompleteness"]
    assert found["exportedSymbolCounts"]["withKnownType"] > 50, f"the package is found: {found}"
    assert found["exportedSymbolCounts"]["withUnknownType"] == 0, "every name has a type"


def test_the_program_that_uses_all_of_the_package_runs(tmp_path):
    ended = subprocess.run([sys.executable, EXAMPLE], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, f"what is accepted works, too: {ended.stderr}"


def test_the_program_uses_every_name_of_the_package():
    import pathlock
    import pathlock.lockfile

    text = EXAMPLE.read_text()
    missing = [name for name in {*pathlock.__all__, *pathlock.lockfile.__all__} if not re.search(rf"\b{name}\b", text)]
    assert missing == [], "names that nobody tries"

import os

import pytest


@pytest.fixture
def path(tmp_path):
    """What the tests lock."""
    return str(tmp_path / "job")


@pytest.fixture
def another_program():
    """Makes what locks a path for everybody, and is nobody's here."""

    def locks(kind, path):
        if kind == "pid":
            with open(path, "w") as file:
                file.write(f"{os.getppid()}\n")
        elif kind == "mkdir":
            os.mkdir(path + ".lock")
        elif kind == "symlink":
            os.symlink("another", path + ".lock")
        else:
            open(path + ".lock", "x").close()

    return locks

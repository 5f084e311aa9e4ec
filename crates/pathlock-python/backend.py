"""Builds the wheel with maturin, and puts the command `pathlock` into it.

The command is a program of its own: it starts in a millisecond, where one that went through Python would take thirty.
maturin builds the native module, or a program, but not both; so the program is built first.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import maturin
from maturin import get_requires_for_build_wheel  # noqa: F401

HERE = Path(__file__).resolve().parent


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    stage_command()
    return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)


def stage_command():
    """Puts the command where `tool.maturin.data` of pyproject.toml says that scripts are."""
    build = ["cargo", "build", "--release", "--package", "pathlock-cli", "--message-format", "json-render-diagnostics"]
    built = subprocess.run(build, cwd=HERE, check=True, stdout=subprocess.PIPE).stdout
    messages = map(json.loads, built.splitlines())
    [program] = [message["executable"] for message in messages if message.get("executable")]
    scripts = HERE / "target" / "pathlock.data" / "scripts"
    scripts.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, scripts / os.path.basename(program))

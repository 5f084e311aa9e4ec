"""`python -m pathlock`: the command `pathlock`, which is a program of its own and comes with this package."""

from __future__ import annotations

import os
import sys
import sysconfig


def command() -> str:
    """Where the command is."""
    name = "pathlock" + (sysconfig.get_config_var("EXE") or "")
    scheme = sysconfig.get_preferred_scheme("user")
    # Beside the interpreter; where `pip install --user` puts it; where `pip install --target` does.
    target = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin")
    places = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", scheme=scheme), target]
    for place in places:
        path = os.path.join(place, name)
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"the command {name} is in none of {', '.join(places)}: install the package pathlock anew")


def main() -> int:
    try:
        program = command()
    except FileNotFoundError as error:
        print(f"pathlock: {error}", file=sys.stderr)
        return 69
    arguments = [program, *sys.argv[1:]]
    if os.name == "posix":
        os.execv(program, arguments)
    import subprocess  # Windows has no exec that waits.

    return subprocess.run(arguments).returncode


if __name__ == "__main__":
    sys.exit(main())

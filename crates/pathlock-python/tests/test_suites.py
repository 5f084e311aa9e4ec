"""The tests of `lockfile` and of python-daemon, as they were published, run with `pathlock.lockfile` in its place."""

import glob
import json
import os
import subprocess
import sys

from children import PATIENCE

# Written for nose, which nothing runs any more: an object for each method, `setup` before it and `teardown` after it.
COMPLIANCE = """
import json, sys, traceback
import pathlock
pathlock.install_as_lockfile()
sys.path.insert(0, "test")
import lockfile, test_lockfile

assert lockfile is pathlock.lockfile, "the tests are to be of the replacement"
outcomes = {}
for name, suite in sorted(vars(test_lockfile).items()):
    if not name.startswith("Test"):
        continue
    for method in sorted(dir(suite)):
        if not method.startswith("test"):
            continue
        case = suite()
        case.setup()
        try:
            getattr(case, method)()
            outcomes[f"{name}.{method}"] = None
        except BaseException:
            outcomes[f"{name}.{method}"] = traceback.format_exc()
        finally:
            case.teardown()
print(json.dumps(outcomes))
"""

UNITTEST = """
import json, sys, unittest
import pathlock
pathlock.install_as_lockfile()
import daemon.pidfile

assert issubclass(daemon.pidfile.TimeoutPIDLockFile, pathlock.lockfile.pidlockfile.PIDLockFile), "of the replacement"
suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:])
result = unittest.TextTestRunner(sys.stderr).run(suite)
print(json.dumps({
    "run": result.testsRun,
    "skipped": len(result.skipped),
    "failures": {str(case): text for case, text in result.failures + result.errors},
}))
"""


def sdist(name):
    parent = os.environ.get("PATHLOCK_TEST_SDISTS")
    assert parent, "PATHLOCK_TEST_SDISTS is not set: run `cargo xtask test`, which downloads and unpacks what is needed"
    found = [path for path in glob.glob(os.path.join(parent, name)) if os.path.isdir(path)]
    assert len(found) == 1, f"one directory `{name}` should be in `{parent}`, not {found}"
    return found[0]


def run(program, *args, in_directory, temporary):
    command = [sys.executable, "-c", program, *args]
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=in_directory, env=environment, stdout=subprocess.PIPE, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, f"the suite ended with {done.returncode}"
    return json.loads(done.stdout)


def test_lockfiles_own_tests_pass(tmp_path):
    outcomes = run(COMPLIANCE, in_directory=sdist("lockfile-0.12.2"), temporary=tmp_path)
    failed = {name: trace for name, trace in outcomes.items() if trace}
    assert not failed, "\n".join(f"{name}\n{trace}" for name, trace in failed.items())
    assert len(outcomes) == 70, f"seven classes have ten tests each: {sorted(outcomes)}"


def test_python_daemons_own_tests_pass(tmp_path):
    directory = sdist("python_daemon-3.1.2")
    said = run(UNITTEST, "test.test_pidfile", "test.test_daemon", in_directory=directory, temporary=tmp_path)
    assert not said["failures"], "\n".join(f"{name}\n{trace}" for name, trace in said["failures"].items())
    assert (said["run"], said["skipped"]) == (158, 0), "all of them were run"

"""The faults of lockfile 0.12.2 that others can abuse. The names of the tests begin with the fault's."""

import os
import pathlib
import stat
import sys
import tempfile

from scenario import attempt, outcome, scenario


@scenario("mkdir", bites="AssertionError: a break removed the files of another directory")
def test_m14_breaking_a_lock_does_not_empty_the_directory_that_a_planted_link_leads_to(place):
    victim = pathlib.Path(place.join("victim"))
    victim.mkdir()
    # One of them is called like the file of an owner.
    for name in ("precious", "host.-7f00112233"):
        (victim / name).touch()
    os.symlink(victim, place.lock_file)
    broken = outcome(place.lock().break_lock)
    left = len(os.listdir(victim))
    assert left == 2, f"a break removed the files of another directory: {left} are left, {broken}"


@scenario("link", bites="AssertionError: a planted link was written through")
def test_l34_a_link_planted_at_the_name_of_a_waiter_is_not_written_through(place):
    victim = pathlib.Path(place.join("victim"))
    victim.write_text("precious")
    lock = place.lock()
    os.symlink(victim, lock.unique_name)
    got = attempt(lock, 0)
    assert victim.read_text() == "precious", f"a planted link was written through: {got}"
    assert got == "done", f"the lock is free: {got}"


@scenario("pid", bites="TypeError: .*unexpected keyword argument 'mode'")
def test_p45_the_mode_of_a_pid_file_can_be_set(place):
    os.umask(0)
    for mode in (0o600, 0o640, 0o604):
        lock = place.native(mode=mode)
        lock.acquire()
        made = stat.S_IMODE(os.stat(place.path).st_mode)
        assert made == mode, f"it was made with mode {made:o}, and not {mode:o}"
        lock.release()


@scenario("sqlite", bites="AssertionError: the database was made where a planted link leads")
def test_q46_the_database_is_not_made_in_the_shared_temporary_directory_where_its_name_can_be_taken(place):
    victim = pathlib.Path(place.join("victim"))
    victim.touch()

    # lockfile 0.12.2 makes a temporary file, removes it, and opens a database of that name: this is in between.
    def plant(event, arguments):
        if event == "sqlite3.connect" and not os.path.lexists(arguments[0]):
            os.symlink(victim, arguments[0])

    sys.addaudithook(plant)
    lock = place.lock()
    lock.acquire(timeout=0)
    assert victim.stat().st_size == 0, "the database was made where a planted link leads"
    left = os.listdir(tempfile.gettempdir())
    assert left == [], f"nothing of it is in the shared temporary directory: {left}"
    lock.release()


@scenario("pid", bites="AssertionError: it reads the pid -1")
def test_p47_a_forged_pid_file_names_nobody_whom_a_signal_would_reach(place):
    for forged in ("-1", "0", "-0", "-12", "+1"):
        pathlib.Path(place.path).write_text(forged + "\n")
        pid = place.lock().read_pid()
        assert pid is None, f"it reads the pid {pid}, and kill({pid}) reaches a whole group"

"""Programs that use lockfile, for the tests of `--check`: for each rule one that it speaks of, and one that looks alike."""

# In these programs each line with a finding ends with a comment that names the rule.
DIFFERENT = {
    "star-import": """
        from lockfile import *  # star-import

        lock = LockFile("job")
    """,
    "threaded-false": """
        import lockfile as lf
        from lockfile.mkdirlockfile import MkdirLockFile

        one = lf.LockFile("a", threaded=False)  # threaded-false
        two = MkdirLockFile("b", False)  # threaded-false
    """,
    "sqlite-processes": """
        from lockfile import sqlitelockfile

        with sqlitelockfile.SQLiteLockFile("job"):  # sqlite-processes
            pass
    """,
    "sqlite-database": """
        import lockfile.sqlitelockfile
        from lockfile.sqlitelockfile import SQLiteLockFile

        class Counted(SQLiteLockFile):
            def count(self):
                return self.connection.execute("select count(*) from locks").fetchone()  # sqlite-database

        print(SQLiteLockFile.testdb)  # sqlite-database
        print(lockfile.sqlitelockfile.SQLiteLockFile.testdb)  # sqlite-database
    """,
    "thread-get-name": """
        import threading
        from threading import Thread

        def who():
            return threading.current_thread().get_name()  # thread-get-name

        worker = Thread(target=who)
        print(worker.get_name())  # thread-get-name
    """,
    "break-after-timeout": """
        from lockfile import LockFile, LockTimeout

        lock = LockFile("job")
        while not lock.i_am_locking():
            try:
                lock.acquire(timeout=60)
            except LockTimeout:
                lock.break_lock()  # break-after-timeout
                lock.acquire()
        lock.release()
    """,
    "os-error": """
        import lockfile
        import sqlite3

        lock = lockfile.LockFile("job")
        try:
            lock.acquire(timeout=1)
        except lockfile.LockTimeout:
            raise SystemExit
        except (OSError, sqlite3.OperationalError) as error:  # os-error
            print(error)
        lock.release()
    """,
    "own-stale-test": """
        import os
        import psutil
        from lockfile.pidlockfile import PIDLockFile, read_pid_from_pidfile, remove_existing_pidfile

        class Daemon(PIDLockFile):
            def __enter__(self):
                pid = self.read_pid()
                try:
                    os.kill(pid, 0)  # own-stale-test
                except OSError:
                    self.break_lock()
                return super().__enter__()

        def tidy(path):
            if not psutil.pid_exists(read_pid_from_pidfile(path)):  # own-stale-test
                remove_existing_pidfile(path)

        def runs(pid):
            os.kill(pid, 0)

        def tidy_differently(lock: PIDLockFile):
            if not runs(lock.read_pid()):  # own-stale-test
                lock.break_lock()
    """,
    "unique-file": """
        import os
        from pathlib import Path
        from lockfile.linklockfile import LinkLockFile
        from lockfile.symlinklockfile import SymlinkLockFile

        lock = LinkLockFile("job")
        print(os.path.exists(lock.unique_name))  # unique-file
        print(Path(lock.unique_name).stat())  # unique-file
        print(os.stat(lock.lock_file).st_nlink == 2)  # unique-file
        print(os.readlink(SymlinkLockFile("link").lock_file))  # unique-file
    """,
    "lock-file-exists": """
        import os.path
        from pathlib import Path
        from lockfile import FileLock
        from lockfile.pidlockfile import PIDLockFile

        JOB = "job"
        lock = FileLock(JOB)
        pid_file = PIDLockFile("/run/job.pid")
        if os.path.exists(lock.lock_file):  # lock-file-exists
            print("busy")
        if os.path.isfile(JOB + ".lock"):  # lock-file-exists
            print("busy")
        if Path("/run/job.pid").exists():  # lock-file-exists
            print("runs")
    """,
    "files-beside": """
        import glob
        import os
        from pathlib import Path
        from lockfile.mkdirlockfile import MkdirLockFile

        lock = MkdirLockFile("job")
        owner = os.listdir(lock.lock_file)[0]  # files-beside
        beside = glob.glob(os.path.dirname(lock.unique_name) + "/*")  # files-beside
        others = list(Path(lock.lock_file).parent.iterdir())  # files-beside
    """,
    "pid-file-lines": """
        from pathlib import Path
        from lockfile.pidlockfile import PIDLockFile

        PID_FILE = "/run/job.pid"
        lock = PIDLockFile(PID_FILE)
        with open(PID_FILE) as file:
            pid = int(file.read().strip())  # pid-file-lines
        pid = int(Path(lock.path).read_text())  # pid-file-lines
        text = open(lock.path).read()
        pid = int(text)  # pid-file-lines
    """,
    "relative-pid-file": """
        import os
        from lockfile.pidlockfile import PIDLockFile

        lock = PIDLockFile("job.pid")  # relative-pid-file
        with lock:
            os.chdir("/")
    """,
    "nested-objects": """
        from lockfile import LockFile

        def inner(path):
            with LockFile(path):
                with LockFile(path):  # nested-objects
                    pass

        outer = LockFile("job")
        again = LockFile("job")
        outer.acquire()
        try:
            again.acquire()  # nested-objects
            again.release()
        finally:
            outer.release()
    """,
    "fork-held": """
        import daemon
        import multiprocessing
        import os
        from lockfile import LockFile, AlreadyLocked

        lock = LockFile("job")
        with lock:
            if os.fork() == 0:  # fork-held
                os._exit(0)
            with daemon.DaemonContext():  # fork-held
                pass
        try:
            lock.acquire(timeout=0)
        except AlreadyLocked:
            raise SystemExit
        child = multiprocessing.Process(target=print)  # fork-held
        child.start()
        lock.release()
    """,
    "not-released": """
        import lockfile
        from lockfile.pidlockfile import PIDLockFile

        lockfile.LockFile("once").acquire(timeout=0)  # not-released

        pid_file = PIDLockFile("/run/job.pid")

        def begin():
            lock = lockfile.LockFile("job")
            lock.acquire()  # not-released
            pid_file.acquire(timeout=-1)  # not-released
    """,
    "shared-by-threads": """
        import threading
        from concurrent.futures import ThreadPoolExecutor
        from lockfile import LockFile

        lock = LockFile("job")

        def work(number):
            with lock:
                print(number)

        for number in range(3):
            threading.Thread(target=work, args=(number,)).start()  # shared-by-threads

        with ThreadPoolExecutor() as pool:
            pool.map(work, range(3))  # shared-by-threads

        class Worker(threading.Thread):
            def __init__(self):
                super().__init__()
                self.lock = LockFile("worker")  # shared-by-threads

            def run(self):
                self.lock.acquire()
                self.lock.release()

        def given(mine: LockFile):
            with mine:
                pass

        second = LockFile("second")
        threading.Thread(target=given, args=[second]).start()  # shared-by-threads
        with second:
            pass
    """,
    "shared-by-processes": """
        import multiprocessing
        from multiprocessing import Process
        from lockfile.mkdirlockfile import MkdirLockFile

        lock = MkdirLockFile("job")

        def work(lock):
            with lock:
                pass

        children = [Process(target=work, args=(lock,)) for _ in range(3)]  # shared-by-processes
        with multiprocessing.Pool() as pool:
            pool.map(lambda _: lock.acquire(), range(3))  # shared-by-processes
        lock.release()
    """,
}

# Programs that look alike, and behave the same.
ALIKE = {
    "star-import": """
        from lockfile.linklockfile import *
        from mylockfile import *
    """,
    "threaded-false": """
        from lockfile import LockFile
        from lockfile.pidlockfile import PIDLockFile

        LockFile("a", threaded=True)
        PIDLockFile("b", threaded=False)

        def FileLock(path, threaded): ...

        FileLock("c", threaded=False)
    """,
    "sqlite-processes": """
        from mylocks import SQLiteLockFile

        with SQLiteLockFile("job"):
            pass
    """,
    "sqlite-database": """
        from lockfile.sqlitelockfile import SQLiteLockFile
        from database import pool

        SQLiteLockFile.testdb = "locks.db"
        print(pool.connection, pool.testdb)
    """,
    "thread-get-name": """
        import threading

        class Named(threading.Thread):
            def get_name(self):
                return self.name

        print(Named().get_name(), threading.current_thread().name)
    """,
    "break-after-timeout": """
        import lockfile
        from other import LockTimeout, lock

        mine = lockfile.LockFile("job")
        try:
            mine.release()
        except lockfile.NotMyLock:
            mine.break_lock()
        try:
            lock.acquire()
        except LockTimeout:
            lock.break_lock()
    """,
    "os-error": """
        import lockfile

        lock = lockfile.LockFile("job")
        try:
            lock.acquire()
        except OSError:
            print("it can't be made")
        except lockfile.LockFailed:
            print("nor locked")
        try:
            lock.acquire()
            open("result").close()
        except OSError:
            print("there is no result")
        lock.release()
    """,
    "own-stale-test": """
        import os
        from lockfile.pidlockfile import PIDLockFile

        def is_alive(lock: PIDLockFile):
            try:
                os.kill(lock.read_pid(), 0)
            except OSError:
                return False
            return True

        def stop(lock: PIDLockFile, child):
            os.kill(child, 0)
            lock.break_lock()
    """,
    "unique-file": """
        import os
        from lockfile import LockFile
        from lockfile.pidlockfile import PIDLockFile

        print(os.path.basename(LockFile("job").unique_name))
        print(os.path.getmtime(LockFile("job").lock_file))
        print(os.stat("data").st_nlink)
        with open(PIDLockFile("/run/job.pid").unique_name) as file:
            print(file.readline())
    """,
    "lock-file-exists": """
        import os
        from lockfile import LockFile

        lock = LockFile("job")
        print(os.path.exists(lock.path), os.path.exists("other.lock"), lock.is_locked())
    """,
    "files-beside": """
        import os
        from lockfile import LockFile

        lock = LockFile("job")
        print(os.listdir("/srv"), os.listdir(os.path.dirname(lock.path)))
    """,
    "pid-file-lines": """
        from lockfile.pidlockfile import PIDLockFile

        lock = PIDLockFile("/run/job.pid")
        with open("/run/job.pid") as file:
            print(int(file.readline()))
        with open("/run/port") as file:
            print(int(file.read()))
    """,
    "relative-pid-file": """
        import os
        from lockfile import LockFile
        from lockfile.pidlockfile import PIDLockFile

        PIDLockFile("/run/job.pid")
        LockFile("job")
        os.chdir("/")
    """,
    "nested-objects": """
        from lockfile import LockFile

        def both(first, second):
            with LockFile(first), LockFile(second):
                pass

        one = LockFile("job")
        with one:
            with one:
                pass
        two = LockFile("job")
        one.acquire()
        one.release()
        two.acquire()
        two.release()
    """,
    "fork-held": """
        import os
        import subprocess
        from lockfile import LockFile
        from lockfile.pidlockfile import PIDLockFile

        with LockFile("job"):
            subprocess.run(["true"])

            def later():
                os.fork()

        with PIDLockFile("/run/job.pid"):
            os.fork()
    """,
    "not-released": """
        import atexit
        from lockfile import LockFile

        lock = LockFile("job")
        lock.acquire()
        atexit.register(lock.release)

        def take(path):
            lock = LockFile(path)
            lock.acquire()
            return lock

        LockFile("marked").acquire()
        LockFile("marked").release()

        def hold(path, registry):
            lock = LockFile(path)
            lock.acquire()
            registry.add(lock)

        class Job:
            def begin(self):
                self.lock = LockFile("job")
                self.lock.acquire()
    """,
    "shared-by-threads": """
        import threading
        from lockfile import LockFile
        from lockfile.pidlockfile import PIDLockFile

        lock = LockFile("job")
        pid_file = PIDLockFile("/run/job.pid")

        def work():
            with LockFile("job"):
                pass

        def alone():
            with lock:
                pass

        def serve():
            with pid_file:
                pass

        threading.Thread(target=alone).start()
        for _ in range(3):
            threading.Thread(target=work).start()
            threading.Thread(target=serve).start()
    """,
    "shared-by-processes": """
        import multiprocessing
        from lockfile import LockFile

        def work(path):
            with LockFile(path):
                pass

        with multiprocessing.Pool() as pool:
            pool.map(work, ["job"] * 3)
    """,
}

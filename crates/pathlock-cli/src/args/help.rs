//! The texts of the help: examples first.

pub(super) const ABOUT: &str = "\
Lock files that always come free.

Examples:
  pathlock run backup.db -- rsync -a backup.db host:
      hold a lock on backup.db while rsync runs
  pathlock status backup.db
      who holds it, and who waits?
  pathlock list /srv
      every lock below /srv
  pathlock break backup.db
      remove a lock that its owner has left behind
  pathlock doctor /mnt/share
      which ways of locking work there?";

pub(super) const RUN: &str = "\
Run a command while holding a lock.

Examples:
  pathlock run backup.db -- rsync -a backup.db host:
      wait for the lock, then run rsync
  pathlock run -n nightly -- ./nightly.sh
      do not wait: exit 75 if another run holds the lock
  pathlock run --on-busy=skip nightly -- ./nightly.sh
      for cron: if another run holds the lock, say so in one line and exit 0
  pathlock run -w 1.5m deploy -- make deploy
      wait for 90 seconds at most
  pathlock run -c 'make && make install' build
      hold the lock for a line of shell
  pathlock run in.csv out.csv -- ./convert.sh
      hold both locks, or none
  pathlock run --slots 3 flock:render -- ./render.sh
      let three of them run at once, in slots 0 to 2
  pathlock run sqlite:/srv/locks.db#nightly -- ./nightly.sh
      hold a named lock in a database
  pathlock run --max-run 1h --kill-after 10s nightly -- ./nightly.sh
      end the command after an hour: TERM, and KILL 10 seconds later
  pathlock run --scheme flock --at /run/lock/job -- job
      share the lock file of flock(1)";

pub(super) const AFTER_RUN: &str = "\
Exit status: that of the command, or
  64     the arguments make no sense
  73     the lock file can't be made or used
  75     the lock is busy, also after waiting (-E sets another code)
  76     the command succeeded, but its lock was broken while it ran
  124    the command took longer than --max-run
  126    the command was found, but can't be run
  127    the command was not found
  128+N  signal N ended the command, or the wait for the lock

The command inherits the lock: if pathlock itself is killed, the lock stays held until
the command has ended. (With -o, and with the schemes symlink and sqlite, the command is
killed instead.) TERM, INT, HUP, QUIT, USR1 and USR2 are passed on to the command.

The command finds in its environment
  PATHLOCK_PATH     the path that is locked, absolute; the first of several
  PATHLOCK_MODE     exclusive or shared
  PATHLOCK_TOKEN    a number that grows from one holder to the next (scheme sqlite)
  PATHLOCK_SLOT     which of the slots, from 0 (with --slots)
  PATHLOCK_HELD     the lock files held by this run and those around it
  PATHLOCK_HELD_BY  the pids of those runs, in the same order";

pub(super) const FD: &str = "\
Lock a file that the shell has open, as flock(1) does.

Examples:
  exec 9>/run/lock/job
  pathlock fd -w 10 9 || exit
      the lock is held until the shell closes 9, or ends
  pathlock fd -u 9
      let it go before that
  ( pathlock fd -n 9 || exit 1; ./job ) 9>/run/lock/job
      hold it for a few lines of a script

It is the lock of scheme flock: flock(1), and `pathlock run --scheme flock --at FILE`,
exclude it. Nothing is written into the file.";

pub(super) const AFTER_FD: &str = "\
Exit status:
  0   locked, or unlocked
  64  the arguments make no sense
  73  no file is open under that number, or it can't be locked
  75  it is busy, also after waiting (-E sets another code)";

pub(super) const STATUS: &str = "\
Show whether paths are locked, who holds them, and who waits.

Examples:
  pathlock status backup.db
  pathlock status backup.db && echo free
  pathlock status --json backup.db

Each line says free, held, stale (its owner is proven dead: the next who comes takes it
over) or unknown (its owner can't be judged from here, so it counts as held). Below it
are the processes that the kernel shows to hold the lock, or to wait for it, as far as
this user may see them.";

pub(super) const AFTER_STATUS: &str = "\
Exit status:
  0   every path is free or stale, and can be locked
  1   a path is held, or unknown
  64  the arguments make no sense
  73  a lock file can't be read";

pub(super) const LIST: &str = "\
Show every lock below a directory.

Examples:
  pathlock list
      below the current directory
  pathlock list /run/lock /srv
  pathlock list --all /srv
      also lock files that nobody holds

Found are lock files named *.lock, *.lck and *.pid, and every file that has a lock of
the kernel. Other filesystems below the directory are passed over.";

pub(super) const AFTER_LIST: &str = "\
Exit status:
  0   the table is complete, even if it is empty
  64  the arguments make no sense
  73  a directory can't be listed";

pub(super) const WAIT: &str = "\
Wait until a lock is free, without taking it.

Examples:
  pathlock wait backup.db && echo 'the backup is done'
  pathlock wait -w 10m deploy

By the time this returns another may hold it: to do something that must be alone, use
`pathlock run`.";

pub(super) const AFTER_WAIT: &str = "\
Exit status:
  0   it is free, or stale
  64  the arguments make no sense
  73  the lock file can't be read
  75  it is still held (-E sets another code)";

pub(super) const BREAK: &str = "\
Remove the lock on a path, and do nothing to its owner.

Examples:
  pathlock break backup.db
      remove it if its owner is proven dead
  pathlock break --if-owner 4711 backup.db
      remove it if this process holds it, alive or not
  pathlock break --force backup.db
      remove it whoever holds it: make sure that nothing runs any more

A lock that changes hands in the meantime is left alone.";

pub(super) const AFTER_BREAK: &str = "\
Exit status:
  0   there is no lock any more, or there was none
  64  the arguments make no sense
  73  the lock file can't be read or removed
  75  it is held, or may be: nothing was removed";

pub(super) const DOCTOR: &str = "\
Try which schemes work in a directory.

Examples:
  pathlock doctor
      here
  pathlock doctor /mnt/share
      in this directory, on whatever filesystem it is
  pathlock doctor --json /mnt/share
      one JSON object a line: the directory, each scheme, the advice

A few processes contend for locks of each scheme in a new directory below it, for a few
seconds in all, and some of them are killed. That new directory is removed at the end.";

pub(super) const AFTER_DOCTOR: &str = "\
Each line of the table shows
  excludes?            yes, NO (two held the lock at once), unsupported, failed or unknown
  kill -9 of a holder  how long until another had the lock (the slowest of a few), or whether
                       the lock was left behind
  wake                 from just before a release until one that waited had the lock (median)

Only processes of this host are tried: what other hosts do on a network filesystem, and
what a failing server does, it can't tell.

Exit status:
  0      the default scheme excludes there
  1      the default scheme does not: the last line says which to use
  64     the arguments make no sense
  73     nothing can be tried there
  128+N  signal N ended it";

pub(super) const SCHEMES: &str = "\
Show the ways of locking, and what each is for.";

pub(super) const COMPLETIONS: &str = "\
Print the completions for a shell.

Examples:
  pathlock completions bash > ~/.local/share/bash-completion/completions/pathlock
  pathlock completions zsh > ~/.zfunc/_pathlock
  pathlock completions fish > ~/.config/fish/completions/pathlock.fish";

pub(super) const MAN: &str = "\
Write the manual pages into a directory.

Example:
  pathlock man ~/.local/share/man/man1";

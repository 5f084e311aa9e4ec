//! What the protocol stands on: a name, inodes, open files, and `flock(2)` as Linux queues it.
//!
//! Every method here is one system call, and happens at once.
//!
//! # The queue
//!
//! Linux wakes one waiter and hands it nothing: it tries again when it runs, and anybody may have
//! been faster. Waiters hang one behind the other, the first behind the lock; one that is woken
//! keeps those behind it, takes them along when it gets the lock, and goes to the end of the new
//! holder's queue, with them, when it doesn't (`__locks_insert_block`, `locks_move_blocks`). One
//! that dies wakes who is behind it.

/// How many programs of ours there are at most.
pub(super) const OURS: usize = 3;
/// How many open files each of them has at most: one in use, and one for each abandoned call.
pub(super) const FILES_EACH: usize = 3;
/// The open file of the program that asks for the status, or breaks the lock.
pub(super) const PROBE: usize = OURS * FILES_EACH;
const FILES: usize = PROBE + 1;
const INODES: usize = 8;

/// What is written in an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Text {
    /// Another program's lock file says nothing.
    Empty,
    Mark,
    Owner(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Inode {
    pub(super) text: Text,
    /// The open file that has the `flock`.
    pub(super) flock: Option<u8>,
}

const UNUSED: Inode = Inode { text: Text::Empty, flock: None };

/// What a parker thread does with its open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Parker {
    Absent,
    /// Giving way to those who came first, and how often it still does.
    Courteous(Courtesy, u8),
    /// About to call `flock`, for the first time or having been woken in it.
    Runs,
    /// In the queue, next after whoever has the lock.
    First,
    /// In the queue, behind this open file.
    Behind(u8),
    /// `flock` has returned.
    Back,
    /// Handing an abandoned turn on.
    Leaving(super::state::Leave),
}

/// A place in `give_way`; after `Try` it has the mutex of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Courtesy {
    Try,
    Look,
    Unlock,
}

/// What has become of a call to `flock`, as `park.rs` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Call {
    Absent,
    Waiting,
    Come,
    Abandoned,
}

/// An open file description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct OpenFile {
    /// `None`: not open.
    pub(super) inode: Option<u8>,
    pub(super) announced: bool,
    pub(super) leaving: bool,
    pub(super) breaking: bool,
    pub(super) parker: Parker,
    pub(super) call: Call,
}

const CLOSED: OpenFile = OpenFile {
    inode: None,
    announced: false,
    leaving: false,
    breaking: false,
    parker: Parker::Absent,
    call: Call::Absent,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kernel {
    pub(super) name: Option<u8>,
    pub(super) inodes: [Inode; INODES],
    pub(super) files: [OpenFile; FILES],
    /// Whether the inode that a breaker has looked at says what it said then: no two records are
    /// alike, so that is whether nothing has been written since.
    pub(super) fresh: bool,
}

impl Kernel {
    pub(super) fn new() -> Kernel {
        Kernel { name: None, inodes: [UNUSED; INODES], files: [CLOSED; FILES], fresh: false }
    }

    /// The inode behind an open file.
    fn inode(&self, file: usize) -> usize {
        usize::from(self.files[file].inode.expect("the file is open"))
    }

    pub(super) fn read(&self, file: usize) -> Text {
        self.inodes[self.inode(file)].text
    }

    pub(super) fn write(&mut self, file: usize, text: Text) {
        let inode = self.inode(file);
        self.inodes[inode].text = text;
        self.fresh &= self.files[PROBE].inode.map(usize::from) != Some(inode);
    }

    pub(super) fn is_named(&self, file: usize) -> bool {
        self.name.is_some() && self.name == self.files[file].inode
    }

    /// Makes an inode and gives it the name; `None` where there is one that has it.
    pub(super) fn create(&mut self, text: Text) -> Option<u8> {
        if self.name.is_some() {
            return None;
        }
        let free = (0..).zip(&self.inodes).find(|(id, _)| self.files.iter().all(|f| f.inode != Some(*id)));
        let (id, _) = free.expect("there are inodes enough for every open file");
        self.inodes[usize::from(id)] = Inode { text, flock: None };
        self.name = Some(id);
        self.name
    }

    /// Whether another open file has an announcement on the inode of `file`.
    pub(super) fn is_announced(&self, file: usize) -> bool {
        self.others(file).any(|other| other.announced)
    }

    /// Whether a breaker is at the inode of `file`.
    pub(super) fn is_breaking(&self, file: usize) -> bool {
        self.others(file).any(|other| other.breaking)
    }

    /// Whether somebody sees to a mark in the inode of `file`.
    pub(super) fn is_watched(&self, file: usize) -> bool {
        self.others(file).any(|other| other.announced || other.breaking)
    }

    /// Whether somebody is about to take the name from the inode of `file`.
    pub(super) fn is_leaving(&self, file: usize) -> bool {
        self.others(file).any(|other| other.leaving)
    }

    fn others(&self, file: usize) -> impl Iterator<Item = &OpenFile> {
        let inode = self.files[file].inode;
        let other = move |(at, open): &(usize, &OpenFile)| *at != file && open.inode == inode;
        self.files.iter().enumerate().filter(other).map(|(_, open)| open)
    }

    pub(super) fn lock_try(&mut self, file: usize) -> bool {
        let inode = self.inode(file);
        let flock = &mut self.inodes[inode].flock;
        *flock.get_or_insert(id(file)) == id(file)
    }

    /// One run of a blocking call: gets the lock, or goes to the end of the queue.
    pub(super) fn lock_wait(&mut self, file: usize) {
        let inode = self.inode(file);
        let had = self.inodes[inode].flock;
        if self.lock_try(file) {
            self.files[file].parker = Parker::Back;
            let next = if had.is_some() { Parker::Runs } else { Parker::First };
            self.replace(inode, Parker::Behind(id(file)), next);
            return;
        }
        let mut last = Parker::First;
        while let Some(next) = self.find(inode, last) {
            last = Parker::Behind(id(next));
        }
        self.files[file].parker = last;
    }

    pub(super) fn unlock(&mut self, file: usize) {
        let inode = self.inode(file);
        if self.inodes[inode].flock == Some(id(file)) {
            self.inodes[inode].flock = None;
            self.replace(inode, Parker::First, Parker::Runs);
        }
    }

    /// Closes a file for good, and ends the call that is made with it.
    pub(super) fn close(&mut self, file: usize) {
        if self.files[file].inode.is_some() {
            self.replace(self.inode(file), Parker::Behind(id(file)), Parker::Runs);
            self.unlock(file);
        }
        self.files[file] = CLOSED;
    }

    fn find(&self, inode: usize, parker: Parker) -> Option<usize> {
        self.files.iter().position(|f| f.parker == parker && f.inode.map(usize::from) == Some(inode))
    }

    fn replace(&mut self, inode: usize, from: Parker, to: Parker) {
        if let Some(file) = self.find(inode, from) {
            self.files[file].parker = to;
        }
    }

    /// Numbers the inodes in the order in which they are found, and forgets the others: states
    /// that differ in nothing else are one.
    pub(super) fn renumber(&mut self) {
        let mut new = [None; INODES];
        let mut inodes = [UNUSED; INODES];
        let mut count = 0;
        let uses = std::iter::once(&mut self.name).chain(self.files.iter_mut().map(|file| &mut file.inode));
        for inode in uses.flatten() {
            let old = usize::from(*inode);
            *inode = *new[old].get_or_insert_with(|| {
                inodes[count] = self.inodes[old];
                count += 1;
                id(count - 1)
            });
        }
        self.inodes = inodes;
    }
}

fn id(index: usize) -> u8 {
    u8::try_from(index).expect("there are few of them")
}

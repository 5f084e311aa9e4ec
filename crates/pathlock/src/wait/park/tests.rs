//! The moments in which waiter and thread meet.

use std::sync::mpsc;

use super::*;
use crate::owner::Owner;
use crate::scheme::{Hold, Lost, QueueKey};

/// A lock that is free, and whose `block` tells when it has won it and returns when it is told to.
#[derive(Debug)]
struct Slow {
    held: Mutex<bool>,
    won: mpsc::SyncSender<()>,
    returns: Mutex<mpsc::Receiver<()>>,
    releases: Mutex<mpsc::Sender<()>>,
}

impl Slow {
    /// The queue; what tells that `block` has won; what lets it return; what tells of a release.
    fn new() -> (Arc<Slow>, mpsc::Receiver<()>, mpsc::Sender<()>, mpsc::Receiver<()>) {
        let (won, has_won) = mpsc::sync_channel(2);
        let (go_on, returns) = mpsc::channel();
        let (releases, released) = mpsc::channel();
        let (returns, releases) = (Mutex::new(returns), Mutex::new(releases));
        (Arc::new(Slow { held: Mutex::new(false), won, returns, releases }), has_won, go_on, released)
    }
}

/// What was claimed.
#[derive(Debug)]
struct Claimed {
    owner: Owner,
    releases: mpsc::Sender<()>,
}

impl Hold for Claimed {
    fn owner(&self) -> &Owner {
        &self.owner
    }
    fn release(&mut self) -> Result<(), Lost> {
        let _ = self.releases.send(());
        Ok(())
    }
    fn is_valid(&self) -> bool {
        true
    }
    fn adopt(&mut self, _owner: Owner) -> io::Result<()> {
        Ok(())
    }
}

impl Queue for Slow {
    fn key(&self) -> QueueKey {
        QueueKey { inode: sys::FileId { device: 0, inode: 0 }, ranged: false, mode: crate::Mode::Exclusive }
    }
    fn join(&self) {}
    fn give_way(&self) -> io::Result<bool> {
        Ok(false)
    }
    fn block(&self) -> io::Result<()> {
        *lock(&self.held) = true;
        let _ = self.won.send(());
        let _ = lock(&self.returns).recv();
        Ok(())
    }
    fn has_turn(&self) -> io::Result<bool> {
        *lock(&self.held) = true;
        Ok(true)
    }
    fn claim(&self, request: &Request<'_>) -> Result<Option<Attempt>, Obstacle> {
        let releases = lock(&self.releases).clone();
        Ok(Some(Attempt::Held(Box::new(Claimed { owner: request.owner.clone(), releases }))))
    }
    fn look(&self) -> Option<Status> {
        None
    }
    fn leave(&self) {
        *lock(&self.held) = false;
    }
}

#[test]
fn a_turn_that_was_given_up_is_not_that_of_the_next_waiter() {
    let (queue, has_won, go_on, _) = Slow::new();
    let first = Arc::new(Event::new().expect("an event"));
    let call = Arc::new(Call {
        queue: Arc::clone(&queue) as Arc<dyn Queue>,
        state: Mutex::new(State::Waiting(first, None)),
    });
    let parkers = Parkers::default();
    std::thread::scope(|scope| {
        scope.spawn(|| parkers.make(&call));
        has_won.recv().expect("the call wins the lock");
        assert!(parkers.abandon(&call).is_none(), "the first waiter does not know, and gives up");
        let second = Arc::new(Event::new().expect("an event"));
        let same = Arc::clone(&queue) as Arc<dyn Queue>;
        let taken = parkers.take_over(&same, &second, &mut None).expect("the call can be taken over");
        go_on.send(()).expect("the call returns");
        sys::poll(&[second.source()], None).expect("the second waiter's turn comes");
        assert!(matches!(*lock(&taken.state), State::Come(Turn::Come(_))), "its turn has come");
        assert!(*lock(&queue.held), "and the lock is held, not given up by the first waiter");
    });
}

#[test]
fn what_was_claimed_for_a_waiter_that_gives_up_is_released() {
    let (queue, has_won, go_on, released) = Slow::new();
    let event = Arc::new(Event::new().expect("an event"));
    let dir = tempfile::tempdir().expect("a directory");
    let path: Arc<std::path::Path> = dir.path().join("job").into();
    let site = crate::site::Site::new(Arc::clone(&path), path).expect("a site");
    let request = Request {
        site: &site,
        owner: &Owner::current(&"slow".into(), None),
        mode: crate::Mode::Exclusive,
        slots: None,
        waits: true,
        file_mode: None,
        recovery: crate::Recovery::default(),
        kept: None,
    };
    let parked = Parked::begin(queue, &event, Some(OwnedRequest::of(&request))).expect("a thread");
    has_won.recv().expect("the call wins the lock");
    go_on.send(()).expect("the call returns");
    sys::poll(&[event.source()], None).expect("the turn comes");
    assert!(released.try_recv().is_err(), "what was claimed is held");
    drop(parked);
    released.recv().expect("what was claimed is released");
}

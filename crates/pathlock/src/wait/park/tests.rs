//! The moments in which waiter and thread meet.

use std::sync::mpsc;

use super::*;
use crate::scheme::{Attempt, QueueKey, Request};
use crate::status::Status;

/// A lock that is free, and whose `block` tells when it has won it and returns when it is told to.
#[derive(Debug)]
struct Slow {
    held: Mutex<bool>,
    won: mpsc::SyncSender<()>,
    returns: Mutex<mpsc::Receiver<()>>,
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
    fn claim(&self, _request: &Request<'_>) -> Result<Option<Attempt>, Obstacle> {
        Ok(None)
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
    let (won, has_won) = mpsc::sync_channel(2);
    let (go_on, returns) = mpsc::channel();
    let queue = Arc::new(Slow { held: Mutex::new(false), won, returns: Mutex::new(returns) });
    let first = Arc::new(Event::new().expect("an event"));
    let call = Arc::new(Call {
        queue: Arc::clone(&queue) as Arc<dyn Queue>,
        state: Mutex::new(State::Waiting(first)),
    });
    let parkers = Parkers::default();
    std::thread::scope(|scope| {
        scope.spawn(|| parkers.make(&call));
        has_won.recv().expect("the call wins the lock");
        assert!(parkers.abandon(&call).is_none(), "the first waiter does not know, and gives up");
        let second = Arc::new(Event::new().expect("an event"));
        let same = Arc::clone(&queue) as Arc<dyn Queue>;
        let taken = parkers.take_over(&same, &second).expect("the call can be taken over");
        go_on.send(()).expect("the call returns");
        sys::poll(&[second.source()], None).expect("the second waiter's turn comes");
        assert!(matches!(*lock(&taken.state), State::Come(Ok(()))), "its turn has come");
        assert!(*lock(&queue.held), "and the lock is held, not given up by the first waiter");
    });
}

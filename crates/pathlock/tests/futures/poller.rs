//! The smallest executor there is: it polls when it is told to, and knows when it was woken.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake};

use pathlock::{Acquire, Guard, LockError};

use crate::common::PATIENCE;

struct Bell(Mutex<Sender<()>>);

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        // The poller may be gone.
        let _ = self.0.lock().expect("nobody panics with it").send(());
    }
}

pub(crate) struct Poller {
    future: Pin<Box<Acquire>>,
    bell: Arc<Bell>,
    rings: Receiver<()>,
}

impl Poller {
    pub(crate) fn new(future: Acquire) -> Poller {
        let (bell, rings) = mpsc::channel();
        Poller { future: Box::pin(future), bell: Arc::new(Bell(Mutex::new(bell))), rings }
    }

    pub(crate) fn poll(&mut self) -> Option<Result<Guard, LockError>> {
        match self.future.as_mut().poll(&mut Context::from_waker(&Arc::clone(&self.bell).into())) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    /// Waits until the future has asked to be polled.
    pub(crate) fn until_woken(&self) {
        self.rings.recv_timeout(PATIENCE).expect("the future is woken");
    }

    /// Polls, as often as it is woken, until it is ready.
    pub(crate) fn finish(&mut self) -> Result<Guard, LockError> {
        loop {
            if let Some(result) = self.poll() {
                return result;
            }
            self.until_woken();
        }
    }
}

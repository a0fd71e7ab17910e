//! Whoever ends a request's record in place of its answer's body.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::Ending;

/// An extension of an answer whose request goes on without its body.
#[derive(Clone)]
pub struct Heir(Arc<Mutex<Option<oneshot::Sender<Ending>>>>);

impl Heir {
    /// One, and where it gets the ending when the head of the answer is complete. It gets none if
    /// the answer is thrown away before.
    pub fn new() -> (Self, oneshot::Receiver<Ending>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(sender)))), receiver)
    }

    /// Hands the ending over; the record ends here if nobody wants it.
    pub(super) fn inherit(self, ending: Ending) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // What comes back ends here.
            drop(sender.send(ending));
        }
    }
}

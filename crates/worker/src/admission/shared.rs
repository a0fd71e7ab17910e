//! A permit with two holders, which ends with the first of them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::admission::Permit;

/// What an engine holds until a job has ended. The permit ends with it, even if nobody reads the
/// events of the job or lets go of them.
pub(crate) struct JobEnd(
    /// Empty until the job is admitted; it is not kept alive by the other holder.
    Arc<Mutex<Option<Permit>>>,
);

/// What the stream of a job's events holds. The permit ends with it, even if the engine needs a
/// moment to see that nobody wants the events any more.
pub(crate) struct StreamEnd(Weak<Mutex<Option<Permit>>>);

impl JobEnd {
    /// Of a job that is not admitted yet.
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// The other end.
    pub fn stream(&self) -> StreamEnd {
        StreamEnd(Arc::downgrade(&self.0))
    }
}

impl StreamEnd {
    /// Both hold `permit` from now on, unless the job has ended already.
    pub fn share(&self, permit: Permit) {
        if let Some(shared) = self.0.upgrade() {
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
        }
    }
}

impl Drop for StreamEnd {
    fn drop(&mut self) {
        let shared = self.0.upgrade();
        let permit =
            shared.and_then(|shared| shared.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(permit);
    }
}

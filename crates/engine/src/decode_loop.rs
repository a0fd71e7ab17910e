//! Takes jobs one after the other and survives their panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;

use crate::outbox::{Halt, Outbox};
use crate::{EngineError, Event, Job, LoadError};

/// A job and where its events go.
pub(crate) struct Task {
    pub(crate) job: Job,
    pub(crate) outbox: Outbox,
}

/// Runs `tasks` until their sender is gone.
///
/// `context` is what `run` works with. After a failure nothing is known about
/// its state, so the next job gets a new one from `open`.
pub(crate) fn serve<C>(
    tasks: &Receiver<Task>,
    context: C,
    open: impl Fn() -> Result<C, LoadError>,
    run: impl Fn(&mut C, &Job, &Outbox) -> Result<Event, Halt>,
) {
    let mut current = Some(context);
    while let Ok(Task { job, outbox }) = tasks.recv() {
        let attempt = AssertUnwindSafe(|| {
            outbox.check()?;
            let context = match &mut current {
                Some(context) => context,
                None => current.insert(open().map_err(|error| {
                    tracing::error!(%error, "the decode loop has no context");
                    EngineError::Internal
                })?),
            };
            run(context, &job, &outbox)
        });
        let outcome = catch_unwind(attempt).unwrap_or_else(|_| {
            tracing::error!("a job panicked in the decode loop");
            Err(EngineError::Internal.into())
        });
        if is_failure(&outcome) {
            current = None;
        }
        outbox.close(outcome);
    }
}

/// Whether the context may be to blame.
fn is_failure(outcome: &Result<Event, Halt>) -> bool {
    matches!(
        outcome,
        Err(Halt::Failed(EngineError::Decode(_) | EngineError::Internal))
    )
}

#[cfg(test)]
mod tests;

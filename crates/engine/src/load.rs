//! What an engine has to do, as its handle sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::EngineLoad;

/// Counts what the decode thread works on; clones count together.
#[derive(Clone)]
pub(crate) struct LoadCounts(Arc<Counts>);

struct Counts {
    slots: usize,
    kv_capacity: usize,
    /// Most jobs that run or wait.
    most: usize,
    /// Jobs that run or wait.
    jobs: AtomicUsize,
    running: AtomicUsize,
    kv_used: AtomicUsize,
}

/// A job's place among those that run or wait, until dropped.
pub(crate) struct Seat(Arc<Counts>);

impl LoadCounts {
    pub(crate) fn new(slots: usize, max_waiting: usize, kv_capacity: usize) -> Self {
        Self(Arc::new(Counts {
            slots,
            kv_capacity,
            most: slots.saturating_add(max_waiting),
            jobs: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            kv_used: AtomicUsize::new(0),
        }))
    }

    /// A place for one more job, if there is one.
    pub(crate) fn seat(&self) -> Option<Seat> {
        let one_more = |jobs| (jobs < self.0.most).then_some(jobs + 1);
        self.0
            .jobs
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| Seat(Arc::clone(&self.0)))
    }

    /// Tells how many jobs have a slot and how many cells of the KV cache are
    /// taken.
    pub(crate) fn publish(&self, running: usize, kv_used: usize) {
        self.0.running.store(running, Ordering::Relaxed);
        self.0.kv_used.store(kv_used, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> EngineLoad {
        let [jobs, running, kv_used] = [&self.0.jobs, &self.0.running, &self.0.kv_used]
            .map(|count| count.load(Ordering::Relaxed));
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        EngineLoad {
            slots: number(self.0.slots),
            running: number(running),
            waiting: number(jobs.saturating_sub(running)),
            kv_used: number(kv_used),
            kv_capacity: number(self.0.kv_capacity),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.jobs.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_may_wait_as_was_said_beside_those_with_a_slot() {
        let counts = LoadCounts::new(2, 1, 64);
        let seats: Vec<_> = std::iter::from_fn(|| counts.seat()).collect();
        assert_eq!(seats.len(), 3);
        counts.publish(2, 10);
        let load = counts.read();
        assert_eq!((load.running, load.waiting, load.kv_used), (2, 1, 10));
        drop(seats);
        assert!(counts.seat().is_some());
    }
}

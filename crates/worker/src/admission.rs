//! How many requests run at a time, how many wait, and for how long. First come, first served.

mod shared;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use ::metrics::{Gauge, counter, gauge};
use fathom_proto::engines::EngineLoad;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

pub(crate) use crate::admission::shared::{JobEnd, StreamEnd};
use crate::{Error, metrics};

/// What one engine takes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests that run at a time.
    pub capacity: usize,
    /// Requests that wait.
    pub max_queue: usize,
    /// How long one waits.
    pub max_queue_age: Duration,
}

/// The way into one engine.
pub(crate) struct Admission {
    engine: String,
    limits: Limits,
    max_places: usize,
    /// One for each request that waits or runs.
    places: Arc<Semaphore>,
    /// One for each request that runs; tokio hands them out in the order they are asked for.
    slots: Arc<Semaphore>,
}

/// A place in the queue; dropping it gives it up.
pub(crate) struct Place {
    entered: Instant,
    _queued: Counted,
    place: OwnedSemaphorePermit,
}

/// The right to run; dropping it ends it.
pub(crate) struct Permit {
    // Fields drop in this order: whoever gets the place next finds the slot free.
    _running: Counted,
    _slot: Option<OwnedSemaphorePermit>,
    _place: OwnedSemaphorePermit,
}

impl Admission {
    /// An empty queue; `engine` names it in metrics.
    pub fn new(engine: &str, limits: Limits) -> Self {
        let capacity = limits.capacity.min(Semaphore::MAX_PERMITS);
        let places = capacity
            .saturating_add(limits.max_queue)
            .min(Semaphore::MAX_PERMITS);
        Self {
            engine: engine.to_owned(),
            limits: Limits { capacity, ..limits },
            max_places: places,
            places: Arc::new(Semaphore::new(places)),
            slots: Arc::new(Semaphore::new(capacity)),
        }
    }

    /// What runs and what waits.
    pub fn load(&self) -> EngineLoad {
        let count = |requests| u32::try_from(requests).unwrap_or(u32::MAX);
        let running = self.limits.capacity - self.slots.available_permits();
        let entered = self.max_places - self.places.available_permits();
        EngineLoad {
            slots: count(self.limits.capacity),
            running: count(running),
            // The two counts are read one after the other, so one may be ahead.
            queued: count(entered.saturating_sub(running)),
            ..EngineLoad::default()
        }
    }

    /// Takes a place in the queue; [`Error::QueueFull`] if there is none.
    pub fn enter(&self) -> Result<Place, Error> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            self.refused("full");
            return Err(Error::QueueFull {
                max_queue: self.limits.max_queue,
            });
        };
        Ok(Place {
            entered: Instant::now(),
            _queued: Counted::new(gauge!(metrics::QUEUED, "engine" => self.engine.clone())),
            place,
        })
    }

    /// Waits for the place's turn: until it is too old, and no longer than `deadline`.
    pub async fn admit(&self, place: Place, deadline: Option<Instant>) -> Result<Permit, Error> {
        let too_old = place.entered + self.limits.max_queue_age;
        let until = deadline.map_or(too_old, |deadline| deadline.min(too_old));
        match timeout_at(until, self.slots.clone().acquire_owned()).await {
            Ok(Ok(slot)) => Ok(Permit {
                _running: Counted::new(gauge!(metrics::RUNNING, "engine" => self.engine.clone())),
                _slot: Some(slot),
                _place: place.place,
            }),
            // Only a semaphore that is closed fails, and nobody closes this one.
            Ok(Err(_)) => Err(Error::ShuttingDown),
            Err(_) if until < too_old => {
                self.refused("deadline");
                Err(Error::DeadlineExceeded)
            }
            Err(_) => {
                self.refused("age");
                Err(Error::QueueTooSlow {
                    max_queue_age: self.limits.max_queue_age,
                })
            }
        }
    }

    /// Waits for `turn`, which an engine with a queue of its own gives, and no longer than
    /// `deadline`.
    pub async fn admit_when<T>(
        &self,
        place: Place,
        deadline: Option<Instant>,
        turn: impl Future<Output = Result<T, Error>>,
    ) -> Result<(T, Permit), Error> {
        let turn = match deadline {
            Some(deadline) => timeout_at(deadline, turn)
                .await
                .unwrap_or(Err(Error::DeadlineExceeded)),
            None => turn.await,
        };
        let turn = turn.inspect_err(|error| match error {
            Error::QueueFull { .. } => self.refused("full"),
            Error::QueueTooSlow { .. } => self.refused("age"),
            Error::DeadlineExceeded => self.refused("deadline"),
            _ => {}
        })?;
        let permit = Permit {
            _running: Counted::new(gauge!(metrics::RUNNING, "engine" => self.engine.clone())),
            // An engine may turn to the next before it is done with the one before.
            _slot: self.slots.clone().try_acquire_owned().ok(),
            _place: place.place,
        };
        Ok((turn, permit))
    }

    fn refused(&self, reason: &'static str) {
        counter!(metrics::REFUSED_TOTAL, "engine" => self.engine.clone(), "reason" => reason)
            .increment(1);
    }
}

/// One more on a gauge, for as long as this lives.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

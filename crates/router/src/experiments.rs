//! Experiments: what is compared, who is in which arm, what came of it, and when an arm is ended.
//!
//! Routers know the experiments that run by heart, and write what they have counted every few
//! seconds. While the database is away the last known experiments go on, and counts wait; what a
//! router that is killed had not written is lost.

mod assignment;
mod counts;
mod definition;
mod error;
mod parameters;
mod report;
mod sequential;
mod store;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fathom_kit::shutdown::Shutdown;
use fathom_proto::feedback::Score;
use fathom_proto::id::{ModelId, RequestId, TenantId, UserId};
use fathom_proto::inference::{Assignment, RequestContext, Sampling};
use sqlx::AnyPool;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::choice::Observed;
use crate::metrics;
use counts::{Remembered, Unwritten};

pub use counts::Sums;
pub use definition::{Arm, Experiment, GuardRail, NewArm, NewExperiment, State};
pub use error::Error;
pub use parameters::Parameters;
pub use report::{ArmReport, Report};
pub use sequential::{Effect, Verdict};
pub use store::{ExperimentChange, ExperimentStore};

/// How often counts are written and experiments read.
const WRITE: Duration = Duration::from_secs(1);
/// After how many of these old requests are forgotten.
const PURGE: u32 = 600;

/// The experiments that run, and what this router has counted of them.
pub(crate) struct Experiments {
    store: ExperimentStore,
    running: RwLock<Arc<HashMap<ModelId, Experiment>>>,
    unwritten: Mutex<Unwritten>,
    stale: AtomicBool,
}

/// A request that is in an experiment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Assigned {
    pub assignment: Assignment,
    /// Where the request does not say.
    pub parameters: Sampling,
    /// The version of the model that answers; `None`: the one that everybody gets.
    pub version: Option<u32>,
}

impl Experiments {
    /// Reads those that run.
    pub async fn load(pool: AnyPool) -> Result<Self, Error> {
        let store = ExperimentStore::new(pool);
        let running = by_model(store.running().await?);
        Ok(Self {
            store,
            running: RwLock::new(Arc::new(running)),
            unwritten: Mutex::default(),
            stale: AtomicBool::new(false),
        })
    }

    /// The arm of this request; `None`: it is in no experiment.
    pub fn assign(
        &self,
        model: &ModelId,
        tenant: &TenantId,
        user: &UserId,
        sampling: &Sampling,
    ) -> Option<Assigned> {
        let running = self.running();
        let experiment = running.get(model)?;
        let arm = experiment.arm_of(tenant, user, sampling)?;
        Some(Assigned {
            assignment: Assignment {
                experiment: experiment.name.clone(),
                arm: arm.name.clone(),
            },
            parameters: Sampling::from(&arm.parameters),
            version: arm.version,
        })
    }

    /// Lets the request be scored.
    pub fn remember(&self, assignment: &Assignment, context: &RequestContext) {
        let remembered = Remembered {
            tenant: context.tenant.clone(),
            assignment: assignment.clone(),
            at: store::now(),
        };
        let request = context.request_id.clone();
        if !self.unwritten().remember(request, remembered) {
            ::metrics::counter!(metrics::EXPERIMENT_REQUESTS_LOST_TOTAL).increment(1);
        }
    }

    /// Counts a request that is over.
    pub fn observe(&self, assignment: &Assignment, observed: Observed) {
        self.unwritten().count(assignment, &Sums::of(observed));
    }

    /// Takes the score of a request of `tenant`.
    pub async fn score(
        &self,
        tenant: &TenantId,
        request: &RequestId,
        score: Score,
    ) -> Result<(), Error> {
        self.write().await?;
        match self.store.score(tenant, request, score).await {
            // Another router may have it, and write it within this time.
            Err(Error::UnknownRequest) if began_within(request, 2 * WRITE) => {
                sleep(WRITE + WRITE / 4).await;
                self.store.score(tenant, request, score).await
            }
            scored => scored,
        }
    }

    /// Writes counts, follows changes and ends harmful arms, until `shutdown` drains; then it
    /// writes what is left, so let it be the shutdown of what ends last.
    pub async fn keep_current(&self, shutdown: &Shutdown) {
        let mut ticks = interval(WRITE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let current = async {
            for tick in (0..PURGE).cycle() {
                ticks.tick().await;
                let worked = self.keep_once(tick == 0).await;
                self.note(worked);
            }
        };
        tokio::select! {
            () = current => {}
            () = shutdown.draining() => {}
        }
        let written = self.write().await;
        self.note(written);
    }

    async fn keep_once(&self, purge: bool) -> Result<(), Error> {
        self.write().await?;
        self.refresh().await?;
        self.end_harmful_arms().await?;
        if purge {
            self.store.purge().await?;
        }
        Ok(())
    }

    /// Writes what was counted. What cannot be written waits for the next time.
    pub async fn write(&self) -> Result<(), Error> {
        let unwritten = std::mem::take(&mut *self.unwritten());
        if unwritten.is_empty() {
            return Ok(());
        }
        let mut unwritten = PutBack {
            to: self,
            unwritten: Some(unwritten),
        };
        if let Some(unwritten) = &unwritten.unwritten {
            self.store.write(unwritten).await?;
        }
        unwritten.unwritten = None;
        Ok(())
    }

    /// Reads the experiments that run.
    pub async fn refresh(&self) -> Result<(), Error> {
        let running = Arc::new(by_model(self.store.running().await?));
        *self.running.write().unwrap_or_else(PoisonError::into_inner) = running;
        Ok(())
    }

    /// Ends each arm that is worse than its experiment allows: its users get the first arm.
    pub async fn end_harmful_arms(&self) -> Result<(), Error> {
        for experiment in self.running().values() {
            let report = Report::of(experiment);
            for (arm, why) in report.harmful() {
                let name = &experiment.name;
                if self.store.stop_arm(name, arm, &why).await? {
                    let labels = [("experiment", name.clone()), ("arm", arm.to_owned())];
                    ::metrics::counter!(metrics::EXPERIMENT_ARMS_STOPPED_TOTAL, &labels)
                        .increment(1);
                    tracing::warn!(
                        experiment.name = %name,
                        experiment.arm = arm,
                        model.id = %experiment.model,
                        why,
                        "an arm is harmful and is stopped; its users get the first arm"
                    );
                }
            }
        }
        Ok(())
    }

    fn note(&self, worked: Result<(), Error>) {
        match worked {
            Ok(()) if self.stale.swap(false, Ordering::Relaxed) => {
                tracing::info!("experiments are read and written again");
            }
            Err(error) if !self.stale.swap(true, Ordering::Relaxed) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "experiments cannot be read or written; their last known state stays, and \
                     counts wait"
                );
            }
            _ => {}
        }
    }

    fn running(&self) -> Arc<HashMap<ModelId, Experiment>> {
        let running = self.running.read();
        running.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts that are being written; they go back if that fails, or is given up.
struct PutBack<'a> {
    to: &'a Experiments,
    unwritten: Option<Unwritten>,
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        if let Some(unwritten) = self.unwritten.take() {
            let lost = self.to.unwritten().put_back(unwritten);
            ::metrics::counter!(metrics::EXPERIMENT_REQUESTS_LOST_TOTAL).increment(lost as u64);
        }
    }
}

fn by_model(experiments: Vec<Experiment>) -> HashMap<ModelId, Experiment> {
    let experiments = experiments.into_iter();
    experiments.map(|it| (it.model.clone(), it)).collect()
}

/// Whether a request began so lately, by the time in its id (UUID version 7).
fn began_within(request: &RequestId, time: Duration) -> bool {
    let milliseconds = request.as_str().get(..12);
    let Some(Ok(began)) = milliseconds.map(|hex| u64::from_str_radix(hex, 16)) else {
        return false;
    };
    let began = UNIX_EPOCH.checked_add(Duration::from_millis(began));
    let age = began.and_then(|began| SystemTime::now().duration_since(began).ok());
    age.is_some_and(|age| age <= time)
}

#[cfg(test)]
mod tests;

//! The models as the router goes by them, kept in memory: no request waits for the database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use fathom_proto::id::ModelId;
use fathom_proto::inference::Sampling;
use fathom_proto::models as port;
use sqlx::AnyPool;

use crate::experiments::Experiments;
use crate::guard::Watch;
use crate::store::ModelStore;
use crate::{Error, metrics};

mod snapshot;

/// Who ends a trial that goes badly.
const ACTOR: &str = "fathom-router";

/// The models that clients can ask for.
pub(crate) struct Models {
    store: ModelStore,
    snapshot: RwLock<Arc<Snapshot>>,
    /// How often reading was begun.
    readings: AtomicU64,
    stale: AtomicBool,
    /// What is tried out on their requests.
    pub experiments: Experiments,
}

/// The models at one moment.
pub(crate) struct Snapshot {
    /// Which reading it is of; one that was begun later is newer.
    reading: u64,
    /// Id of the last change of all models; 0: there was none.
    pub config_version: u64,
    pub models: HashMap<ModelId, Model>,
}

/// A model, with the versions that answer.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub owned_by: String,
    pub context_length: u32,
    /// Seconds since the epoch.
    pub created: i64,
    pub fallback: Option<ModelId>,
    pub hedging: bool,
    /// The one that answers; `None`: the model has none and is its own target.
    pub stable: Option<Version>,
    /// The one that is tried out.
    pub canary: Option<Canary>,
    /// All of them, the newest first.
    pub versions: Arc<[Version]>,
}

/// A version of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Version {
    pub number: u32,
    /// The name that workers announce.
    pub target: ModelId,
    /// Where a request does not say.
    pub parameters: Sampling,
}

/// A version that is tried out.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    pub version: Version,
    pub state: port::Canary,
    /// What is seen of it here; a trial keeps its watch from snapshot to snapshot.
    pub watch: Arc<Watch>,
}

impl Model {
    /// The names that workers of this model announce: of the version that answers, and of the one
    /// that is tried out.
    pub fn targets<'a>(&'a self, id: &'a ModelId) -> impl Iterator<Item = &'a ModelId> {
        let stable = self.stable.as_ref();
        let canary = self.canary.as_ref().map(|canary| &canary.version.target);
        [stable.map_or(id, |version| &version.target)]
            .into_iter()
            .chain(canary)
    }
}

impl Models {
    /// Reads the tables.
    pub async fn load(pool: AnyPool) -> Result<Self, Error> {
        let store = ModelStore::new(pool.clone());
        let snapshot = Snapshot::read(&store, 0, None).await?;
        Ok(Self {
            experiments: Experiments::load(pool).await?,
            store,
            snapshot: RwLock::new(Arc::new(snapshot)),
            readings: AtomicU64::new(1),
            stale: AtomicBool::new(false),
        })
    }

    /// The models in the database.
    pub fn store(&self) -> &ModelStore {
        &self.store
    }

    /// The models as last read.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads the tables again. If that fails, what was read the last time stays: a database that
    /// is down stops no generation.
    pub async fn refresh(&self) {
        let last = self.snapshot();
        let reading = self.readings.fetch_add(1, Ordering::Relaxed);
        match Snapshot::read(&self.store, reading, Some(&last)).await {
            Ok(snapshot) => {
                let mut place = self
                    .snapshot
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                // A change made here may have been read meanwhile.
                if snapshot.reading > place.reading {
                    *place = Arc::new(snapshot);
                }
                drop(place);
                if self.stale.swap(false, Ordering::Relaxed) {
                    tracing::info!("the tables of models are read again");
                }
            }
            Err(error) => {
                if !self.stale.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the tables of models cannot be read; what they last held stays"
                    );
                }
            }
        }
    }

    /// Ends the trials that go badly, as this router sees them. Another router may be first; while
    /// the database is away a trial is over at this router alone, and is ended when it is back.
    pub async fn end_bad_trials(&self) {
        for (id, model) in &self.snapshot().models {
            let Some(canary) = &model.canary else {
                continue;
            };
            let was_over = canary.watch.is_over();
            let Some(why) = canary.watch.judge(&canary.state.guard) else {
                continue;
            };
            let version = canary.version.number;
            if !was_over {
                tracing::warn!(model = %id, version, why, "a version that is tried out goes badly");
            }
            match self.store.end_trial(ACTOR, id, canary.state, &why).await {
                Ok(_) => {
                    let model = id.to_string();
                    ::metrics::counter!(metrics::TRIALS_ENDED_TOTAL, "model" => model).increment(1);
                    self.refresh().await;
                }
                Err(Error::Conflict(_) | Error::ModelNotFound { .. }) => self.refresh().await,
                Err(error) if !was_over => tracing::warn!(
                    model = %id,
                    version,
                    error = &error as &dyn std::error::Error,
                    "its trial is not on record as ended; this router tries again"
                ),
                Err(_) => {}
            }
        }
    }
}

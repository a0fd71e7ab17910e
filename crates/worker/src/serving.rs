//! Which engine answers to which name.

use std::sync::Arc;

use fathom_proto::catalog::Deployment;
use fathom_proto::engines::{EngineLoad, EngineStatus};
use fathom_proto::id::ModelId;
use fathom_proto::registry::ServedModel;
use tokio::task::spawn_blocking;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::engine::Engine;

/// The engines that serve, in the order they were loaded. No two have a name in common.
#[derive(Default)]
pub(crate) struct Serving(Vec<Served>);

/// An engine and the names that it answers to.
pub(crate) struct Served {
    names: Vec<ModelId>,
    engine: Arc<dyn Engine>,
    generations: TaskTracker,
}

/// An engine for as long as one generation needs it, whether it still serves or not.
pub(crate) struct Held {
    // Fields drop in this order: whoever waits for the generation finds the engine unused.
    pub engine: Arc<dyn Engine>,
    _generation: TaskTrackerToken,
}

impl Serving {
    /// The engine that answers to `model`.
    pub fn hold(&self, model: &ModelId) -> Option<Held> {
        let served = self.0.iter().find(|served| served.names.contains(model))?;
        Some(Held {
            engine: served.engine.clone(),
            _generation: served.generations.token(),
        })
    }

    /// Adds an engine, which takes its names from those that had them. Gives the engines that
    /// have none left.
    pub fn add(&mut self, names: Vec<ModelId>, engine: Arc<dyn Engine>) -> Vec<Served> {
        let nameless = self.take(|name| names.contains(name));
        self.0.push(Served {
            names,
            engine,
            generations: TaskTracker::new(),
        });
        nameless
    }

    /// Takes a name out. Gives the engine if it has none left; `None` if nobody has the name.
    pub fn remove(&mut self, model: &ModelId) -> Option<Vec<Served>> {
        let known = self.0.iter().any(|served| served.names.contains(model));
        known.then(|| self.take(|name| name == model))
    }

    fn take(&mut self, taken: impl Fn(&ModelId) -> bool) -> Vec<Served> {
        for served in &mut self.0 {
            served.names.retain(|name| !taken(name));
        }
        self.0
            .extract_if(.., |served| served.names.is_empty())
            .collect()
    }

    /// Every engine.
    pub fn engines(&self) -> impl Iterator<Item = EngineStatus> {
        self.0.iter().map(|served| EngineStatus {
            serves: served.names.clone(),
            deployment: served.engine.deployment(),
            load: served.engine.load(),
        })
    }

    /// Every name with what stands behind it, ordered by name.
    pub fn models(&self) -> Vec<ServedModel> {
        let mut models: Vec<_> = self
            .0
            .iter()
            .flat_map(|served| {
                let deployment = served.engine.deployment();
                let load = served.engine.load();
                served.names.iter().map(move |model| ServedModel {
                    model: model.clone(),
                    deployment: Deployment {
                        weights: served.engine.weights(model),
                        ..deployment.clone()
                    },
                    load,
                })
            })
            .collect();
        models.sort_by(|one, other| one.model.cmp(&other.model));
        models
    }

    /// What all engines have to do.
    pub fn load(&self) -> EngineLoad {
        let loads = self.0.iter().map(|served| served.engine.load());
        loads.fold(EngineLoad::default(), |sum, load| EngineLoad {
            slots: sum.slots.saturating_add(load.slots),
            running: sum.running + load.running,
            queued: sum.queued + load.queued,
            kv_used: sum.kv_used + load.kv_used,
            kv_capacity: sum.kv_capacity + load.kv_capacity,
        })
    }
}

impl Served {
    /// Ends the engine once its last generation has ended.
    pub async fn retire(self) {
        self.generations.close();
        self.generations.wait().await;
        // An engine waits for the step that it is in.
        let _ = spawn_blocking(move || drop(self.engine)).await;
    }
}

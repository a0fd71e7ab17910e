//! What the crate's benchmarks measure, made reachable for them alone.

use std::sync::Arc;

use fathom_proto::catalog::Deployment;
use fathom_proto::engines::EngineLoad;
use fathom_proto::id::{ModelId, TenantId};
use fathom_proto::inference::{Inference, Prompt};
use fathom_proto::registry::{Announcement, ServedModel};

use crate::affinity::prefixes;
use crate::place::{Ask, Pick, Place};
use crate::registry::Workers;
use crate::{Config, Error, Policy};

/// Workers of one model.
pub struct Fleet {
    workers: Workers,
    target: ModelId,
    tenant: TenantId,
}

/// A place on one of them.
pub struct Seat(#[expect(dead_code, reason = "held until dropped")] Place);

impl Fleet {
    /// So many workers with 16 slots each.
    ///
    /// # Errors
    /// None with less than 10 000.
    pub fn new(
        policy: Policy,
        workers: usize,
        inference: &Arc<dyn Inference>,
    ) -> Result<Self, Error> {
        let mut config = Config::default();
        config.balance.policy = policy;
        let no_network = |_: &_| Err("there is no network".to_owned());
        let fleet = Self {
            workers: Workers::new(&config, Box::new(no_network)),
            target: "chat".into(),
            tenant: "acme".into(),
        };
        for number in 0..workers {
            let served = ServedModel {
                model: fleet.target.clone(),
                deployment: Deployment {
                    backend: "sim".into(),
                    weights: "words".into(),
                    context_length: 8_192,
                },
                load: EngineLoad {
                    slots: 16,
                    ..EngineLoad::default()
                },
            };
            let announcement = Announcement {
                worker: number.to_string().into(),
                endpoint: format!("unix:{number}"),
                zone: None,
                version: "1".into(),
                incarnation: 0,
                models: vec![served],
            };
            fleet
                .workers
                .register_local(announcement, inference.clone())?;
        }
        Ok(fleet)
    }

    /// One choice of a worker.
    pub fn pick(&self, prefixes: &[u64]) -> Option<Seat> {
        let ask = Ask {
            target: &self.target,
            tenant: &self.tenant,
            prefixes,
            tried: &[],
            lost: &[],
            like: None,
        };
        match self.workers.pick(&ask) {
            Pick::Place(place) => Some(Seat(place)),
            Pick::Out(_) | Pick::Nobody => None,
        }
    }

    /// Hashes of the beginnings of a prompt.
    #[must_use]
    pub fn prefixes(prompt: &Prompt) -> Vec<u64> {
        prefixes(prompt).to_vec()
    }
}

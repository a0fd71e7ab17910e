//! What is known of the workers of one name, beside which they are.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use fathom_proto::id::ModelId;

use crate::admission::{Line, QueueConfig};
use crate::dispatch::latency::Latency;

/// Most names that are known at a time; an installation has dozens.
const MAX_TARGETS: usize = 10_000;

/// A name that workers announce.
pub(super) struct Target {
    pub name: ModelId,
    /// Who waits for one of them.
    pub line: Line,
    /// How long they take to the first token.
    pub first_tokens: Latency,
}

/// Every name that was asked for.
pub(super) struct Targets {
    queue: QueueConfig,
    known: RwLock<HashMap<ModelId, Arc<Target>>>,
}

impl Targets {
    pub fn new(queue: QueueConfig) -> Self {
        Self {
            queue,
            known: RwLock::default(),
        }
    }

    pub fn get(&self, name: &ModelId) -> Arc<Target> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = known.get(name) {
            return target.clone();
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_TARGETS {
            // Those in use are in the hands of their requests.
            known.retain(|_, target| Arc::strong_count(target) > 1);
        }
        let target = known.entry(name.clone()).or_insert_with(|| {
            Arc::new(Target {
                name: name.clone(),
                line: Line::new(self.queue),
                first_tokens: Latency::new(),
            })
        });
        target.clone()
    }
}

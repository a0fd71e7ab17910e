//! Whether a service wants traffic, and if not, why.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// Named conditions that must all hold; clones share them.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<BTreeMap<&'static str, bool>>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }
}

impl Readiness {
    /// Sets a condition; one that was never set does not count.
    pub fn set(&self, condition: &'static str, holds: bool) {
        self.0
            .send_if_modified(|conditions| conditions.insert(condition, holds) != Some(holds));
    }

    /// The conditions that do not hold; empty when ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let conditions = self.0.borrow();
        conditions
            .iter()
            .filter(|(_, holds)| !**holds)
            .map(|(name, _)| *name)
            .collect()
    }

    /// Completes once a condition does not hold.
    pub async fn unready(&self) {
        let mut conditions = self.0.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = conditions
            .wait_for(|conditions| !conditions.values().all(|holds| *holds))
            .await;
    }

    /// Completes once every condition holds.
    pub async fn ready(&self) {
        let mut conditions = self.0.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = conditions
            .wait_for(|conditions| conditions.values().all(|holds| *holds))
            .await;
    }
}

//! The workers of every model name, for those who look while it changes.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use fathom_proto::id::ModelId;

use crate::connection::Connection;
use crate::registry::pool::{Member, Pool};

/// The workers of every model name.
#[derive(Default)]
pub(super) struct Pools(RwLock<HashMap<ModelId, Arc<Pool>>>);

impl Pools {
    /// `None`: no worker answers to it.
    pub fn get(&self, model: &ModelId) -> Option<Arc<Pool>> {
        let pools = self.0.read().unwrap_or_else(PoisonError::into_inner);
        pools.get(model).cloned()
    }

    /// Adds a worker in place of what it was before, if anything.
    pub fn put(&self, model: &ModelId, before: Option<&Connection>, member: Member) {
        let mut members = self.others(model, [before, Some(&member.connection)]);
        members.push(member);
        self.set(model, members);
    }

    /// Takes a worker out; whether it was the last one.
    pub fn take(&self, model: &ModelId, connection: &Connection) -> bool {
        let others = self.others(model, [Some(connection), None]);
        let last = others.is_empty();
        self.set(model, others);
        last
    }

    fn others(&self, model: &ModelId, not: [Option<&Connection>; 2]) -> Vec<Member> {
        let pool = self.get(model);
        let members = pool.iter().flat_map(|pool| pool.members());
        let others = members.filter(|member| {
            let number = member.connection.number;
            !not.iter().flatten().any(|not| not.number == number)
        });
        others.cloned().collect()
    }

    fn set(&self, model: &ModelId, members: Vec<Member>) {
        // What is dropped is dropped after the lock.
        let pool = (!members.is_empty()).then(|| Arc::new(Pool::new(members)));
        let mut pools = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let _before = match pool {
            Some(pool) => pools.insert(model.clone(), pool),
            None => pools.remove(model),
        };
        drop(pools);
    }
}

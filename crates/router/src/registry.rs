//! The workers that are up: what each serves, how to call it, and until when that holds.

mod table;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fathom_kit::net::Endpoint;
use fathom_proto::catalog::Deployment;
use fathom_proto::id::{ModelId, WorkerId};
use fathom_proto::inference::Inference;
use fathom_proto::registry::{Announcement, Lease};
use tokio::time::Instant;

use crate::connection::{Connect, Connection, Load};
use crate::registry::table::{Table, Worker};
use crate::{Config, Error};

/// Most models that one worker may serve.
const MAX_MODELS: usize = 1_000;

/// The workers that are up.
pub(crate) struct Workers {
    table: Mutex<Table>,
    connect: Connect,
    lease: Duration,
    max_workers: usize,
}

impl Workers {
    /// Nobody yet.
    pub fn new(config: &Config, connect: Connect) -> Self {
        Self {
            table: Mutex::default(),
            connect,
            lease: config.lease,
            max_workers: config.max_workers,
        }
    }

    /// Adds a worker or renews its lease. The connection stays while the address does.
    pub fn register(&self, announcement: Announcement) -> Result<Lease, Error> {
        check(&announcement)?;
        let now = Instant::now();
        let lease = Lease {
            duration: self.lease,
        };
        let expires = Some(now + self.lease);
        let mut table = self.table();
        if table.renew(&announcement, expires) {
            return Ok(lease);
        }
        let connection = match table.connection(&announcement) {
            Some(connection) => connection,
            None => Connection::new(self.connect(&announcement.endpoint)?),
        };
        self.insert(
            &mut table,
            Worker {
                announcement,
                connection,
                expires,
            },
            now,
        )?;
        Ok(lease)
    }

    /// Adds a worker of this process, which is up until it is removed.
    pub fn register_local(
        &self,
        announcement: Announcement,
        inference: Arc<dyn Inference>,
    ) -> Result<(), Error> {
        check(&announcement)?;
        let connection = Connection::new(inference);
        let worker = Worker {
            announcement,
            connection,
            expires: None,
        };
        self.insert(&mut self.table(), worker, Instant::now())
    }

    /// Takes a worker out; what it runs goes on.
    pub fn deregister(&self, worker: &WorkerId) {
        if self.table().remove(worker) {
            tracing::info!(worker.id = %worker, "worker left");
        }
    }

    /// Takes out the worker behind `connection`, because it cannot be reached. It comes back
    /// with its next announcement; one of this process would not, so it stays.
    pub fn forget(&self, connection: &Arc<Connection>) {
        if let Some(worker) = self.table().remove_unreachable(connection) {
            tracing::warn!(worker.id = %worker, "worker is not reachable");
        }
    }

    /// Takes out every worker whose lease is over.
    pub fn sweep(&self) {
        for worker in self.table().remove_expired(Instant::now()) {
            tracing::warn!(worker.id = %worker, "worker is gone: its lease is over");
        }
    }

    /// A place on the least loaded worker that serves `model` and is none of `tried`.
    pub fn pick(&self, model: &ModelId, tried: &[Arc<Connection>]) -> Option<Load> {
        self.table().pick(model, tried, Instant::now())
    }

    /// What serves `model`: of several deployments the one with the shortest context, because a
    /// request may meet any of them.
    pub fn deployment(&self, model: &ModelId) -> Option<Deployment> {
        let table = self.table();
        let deployments = table.deployments(model, Instant::now());
        deployments
            .min_by_key(|deployment| deployment.context_length)
            .cloned()
    }

    fn insert(&self, table: &mut Table, worker: Worker, now: Instant) -> Result<(), Error> {
        let id = worker.announcement.worker.clone();
        if !table.contains(&id) && table.len() >= self.max_workers {
            table.remove_expired(now);
            if table.len() >= self.max_workers {
                return Err(Error::RegistryFull {
                    max_workers: self.max_workers,
                });
            }
        }
        tracing::info!(
            worker.id = %id,
            worker.endpoint = %worker.announcement.endpoint,
            worker.models = worker.announcement.models.len(),
            "worker is up"
        );
        table.insert(worker);
        Ok(())
    }

    fn connect(&self, endpoint: &str) -> Result<Arc<dyn Inference>, Error> {
        let invalid = |problem| Error::Announcement {
            field: "endpoint",
            problem,
        };
        let endpoint: Endpoint = endpoint.parse().map_err(invalid)?;
        (self.connect)(&endpoint).map_err(invalid)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(announcement: &Announcement) -> Result<(), Error> {
    let models = announcement.models.len();
    if announcement.worker.as_str().is_empty() {
        let problem = "a worker needs an id that is not empty".to_owned();
        return Err(Error::Announcement {
            field: "worker_id",
            problem,
        });
    }
    if models == 0 || models > MAX_MODELS {
        let problem = format!("a worker serves 1 to {MAX_MODELS} models, not {models}");
        return Err(Error::Announcement {
            field: "models",
            problem,
        });
    }
    Ok(())
}

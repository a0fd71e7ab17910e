//! The workers that are up: what each serves, how to call it, and until when that holds.

mod table;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fathom_kit::net::Endpoint;
use fathom_proto::catalog::Deployment;
use fathom_proto::id::{ModelId, WorkerId};
use fathom_proto::inference::Inference;
use fathom_proto::registry::{Announcement, Lease};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::connection::{Connect, Connection};
use crate::dispatch::RetryConfig;
use crate::place::{Ask, Pick};
use crate::registry::table::{Table, Worker};
use crate::{Config, Error};

/// Most models that one worker may serve.
const MAX_MODELS: usize = 1_000;

/// The workers that are up.
pub(crate) struct Workers {
    table: Mutex<Table>,
    /// A worker is new, or serves other models than before.
    added: Notify,
    connect: Connect,
    lease: Duration,
    max_workers: usize,
    wait_for_worker: Duration,
    started: Instant,
    retry: RetryConfig,
}

impl Workers {
    /// Nobody yet.
    pub fn new(config: &Config, connect: Connect) -> Self {
        Self {
            table: Mutex::default(),
            added: Notify::new(),
            connect,
            lease: config.lease,
            max_workers: config.max_workers,
            wait_for_worker: config.wait_for_worker,
            started: Instant::now(),
            retry: config.retry,
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

    /// Adds a worker of this process, which is up until it is removed, or notes what it says anew.
    pub fn register_local(
        &self,
        announcement: Announcement,
        inference: Arc<dyn Inference>,
    ) -> Result<(), Error> {
        check(&announcement)?;
        let mut table = self.table();
        if table.renew(&announcement, None) {
            return Ok(());
        }
        let known = table.connection(&announcement);
        let worker = Worker {
            announcement,
            connection: known.unwrap_or_else(|| Connection::new(inference)),
            expires: None,
        };
        self.insert(&mut table, worker, Instant::now())
    }

    /// Takes a worker out, unless another incarnation of it was announced since; what it runs goes
    /// on.
    pub fn deregister(&self, worker: &WorkerId, incarnation: u64) {
        let mut table = self.table();
        if table.is_incarnation(worker, incarnation) && table.remove(worker) {
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

    /// A place on the least loaded worker that fits.
    pub fn pick(&self, ask: &Ask<'_>) -> Pick {
        self.table().pick(ask, Instant::now())
    }

    /// Whether a worker fits.
    pub fn serve(&self, ask: &Ask<'_>) -> bool {
        self.table().serves(ask, Instant::now())
    }

    /// As [`Self::pick`], but waits for such a worker to come up; until `until`.
    pub async fn wait(&self, ask: &Ask<'_>, until: Instant) -> Pick {
        loop {
            // Heard from here on, so that none is missed between looking and waiting.
            let mut added = pin!(self.added.notified());
            added.as_mut().enable();
            let pick = self.pick(ask);
            if matches!(pick, Pick::Place(_)) || timeout_at(until, added).await.is_err() {
                return pick;
            }
        }
    }

    /// Until when a worker of `model` may be coming up: the last one is gone since a short time
    /// only, or this router is new and not every worker has found it.
    pub fn expected_until(&self, model: &ModelId) -> Instant {
        let last_served = self.table().last_served(model, Instant::now());
        let since = last_served.map_or(self.started, |served| served.max(self.started));
        since + self.wait_for_worker
    }

    /// How requests that failed are tried again.
    pub fn retry(&self) -> RetryConfig {
        self.retry
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
        self.added.notify_waiters();
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
    if models > MAX_MODELS {
        let problem = format!("a worker serves at most {MAX_MODELS} models, not {models}");
        return Err(Error::Announcement {
            field: "models",
            problem,
        });
    }
    Ok(())
}

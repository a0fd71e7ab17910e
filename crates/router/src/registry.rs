//! The workers that are up: what each serves, how to call it, and until when that holds.

mod pool;
mod pools;
mod table;
#[cfg(test)]
pub(crate) mod tests;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use fathom_kit::net::Endpoint;
use fathom_proto::catalog::Deployment;
use fathom_proto::id::{ModelId, WorkerId};
use fathom_proto::inference::Inference;
use fathom_proto::registry::{Announcement, Lease};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::connection::{Connect, Connection};
use crate::dispatch::RetryConfig;
use crate::engine::Load;
use crate::place::{Ask, Pick, Place};
use crate::registry::pool::{Balancer, Found};
use crate::registry::pools::Pools;
use crate::registry::table::Table;
use crate::{Config, Error, metrics};

/// Most models that one worker may serve.
const MAX_MODELS: usize = 1_000;

/// The workers that are up.
pub(crate) struct Workers {
    table: Mutex<Table>,
    /// What the table says, for those who look without its lock.
    pools: Arc<Pools>,
    balancer: Balancer,
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
        let pools = Arc::new(Pools::default());
        Self {
            table: Mutex::new(Table::new(
                pools.clone(),
                config.zone.clone(),
                config.breaker,
            )),
            pools,
            balancer: Balancer::new(config.balance),
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
        let lease = Lease {
            duration: self.lease,
        };
        let expires = Some(Instant::now() + self.lease);
        let connect = |announcement: &Announcement| self.connect(&announcement.endpoint);
        self.add(announcement, expires, connect)?;
        Ok(lease)
    }

    /// Adds a worker of this process, which is up until it is removed, or notes what it says anew.
    pub fn register_local(
        &self,
        announcement: Announcement,
        inference: Arc<dyn Inference>,
    ) -> Result<(), Error> {
        check(&announcement)?;
        self.add(announcement, None, |_| Ok(inference))
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
        if let Some(worker) = self.table().put_aside(connection) {
            tracing::warn!(worker.id = %worker, "worker is not reachable");
        }
    }

    /// Takes out every worker whose lease is over.
    pub fn sweep(&self) {
        for worker in self.table().remove_expired(Instant::now()) {
            tracing::warn!(worker.id = %worker, "worker is gone: its lease is over");
        }
    }

    /// Measures the workers that are up and get no request, given which names are of any use.
    pub fn measure(&self, is_target: impl Fn(&ModelId) -> bool) {
        let unrouted = self.table().unrouted(is_target, Instant::now());
        for (reason, count) in unrouted {
            ::metrics::gauge!(metrics::UNROUTED, "reason" => reason).set(count);
        }
    }

    /// A place on a worker that fits.
    pub fn pick(&self, ask: &Ask<'_>) -> Pick {
        let Some(pool) = self.pools.get(ask.target) else {
            return Pick::Nobody;
        };
        match pool.pick(ask, &self.balancer, Instant::now(), &mut Rng::new()) {
            Found::Member(member, pass) => {
                // The count goes up at once, so that a burst spreads.
                let load = Load::on(&member.engine);
                Pick::Place(Place::new(ask.target, &member.connection, load, pass))
            }
            Found::Out(after) => Pick::Out(after),
            Found::Nobody => Pick::Nobody,
        }
    }

    /// Whether a worker fits and may be asked.
    pub fn serve(&self, ask: &Ask<'_>) -> bool {
        let pool = self.pools.get(ask.target);
        pool.is_some_and(|pool| pool.serves(ask, Instant::now()))
    }

    /// Whether a worker that fits is known to have a free slot.
    pub fn has_room(&self, ask: &Ask<'_>) -> bool {
        let pool = self.pools.get(ask.target);
        pool.is_some_and(|pool| pool.has_room(ask, Instant::now()))
    }

    /// As [`Self::pick`], but waits for such a worker to come up or to be asked again; until
    /// `until`.
    pub async fn wait(&self, ask: &Ask<'_>, until: Instant) -> Pick {
        loop {
            // Heard from here on, so that none is missed between looking and waiting.
            let mut added = pin!(self.added.notified());
            added.as_mut().enable();
            let pick = self.pick(ask);
            let next = match pick {
                Pick::Place(_) => return pick,
                Pick::Out(after) => until.min(Instant::now() + after),
                Pick::Nobody => until,
            };
            if timeout_at(next, added).await.is_err() && next == until {
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

    /// How long a worker counts as up after it said so.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// Whether another worker than this one said that it serves at `endpoint`.
    pub fn registers_itself(&self, endpoint: &Endpoint, worker: &WorkerId) -> bool {
        let endpoint = endpoint.to_string();
        self.table().at(&endpoint).is_some_and(|at| at != worker)
    }

    /// How requests that failed are tried again.
    pub fn retry(&self) -> RetryConfig {
        self.retry
    }

    /// What serves `model`: of several deployments the one with the shortest context, because a
    /// request may meet any of them.
    pub fn deployment(&self, model: &ModelId) -> Option<Deployment> {
        let now = Instant::now();
        let pool = self.pools.get(model)?;
        let live = pool
            .members()
            .filter(|member| member.connection.is_live(now));
        let deployments = live.map(|member| &*member.engine.deployment);
        deployments
            .min_by_key(|deployment| deployment.context_length)
            .cloned()
    }

    fn add(
        &self,
        announcement: Announcement,
        expires: Option<Instant>,
        connect: impl FnOnce(&Announcement) -> Result<Arc<dyn Inference>, Error>,
    ) -> Result<(), Error> {
        let now = Instant::now();
        let mut table = self.table();
        if table.renew(&announcement, expires) {
            return Ok(());
        }
        let id = announcement.worker.clone();
        if !table.contains(&id) && table.len() >= self.max_workers {
            table.remove_expired(now);
            if table.len() >= self.max_workers {
                return Err(Error::RegistryFull {
                    max_workers: self.max_workers,
                });
            }
        }
        let connection = match table.connection(&announcement) {
            Some(connection) => connection,
            None => {
                let inference = connect(&announcement)?;
                // At the router's own start every worker appears, and none is new.
                let appeared = (now >= self.started + self.lease).then_some(now);
                let number = table.next_number();
                let zone = announcement.zone.clone();
                Connection::new(inference, zone, number, appeared)
            }
        };
        tracing::info!(
            worker.id = %id,
            worker.endpoint = %announcement.endpoint,
            worker.models = announcement.models.len(),
            "worker is up"
        );
        table.insert(announcement, connection, expires, now);
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

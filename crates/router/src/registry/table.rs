//! The table behind the registry's lock: workers by id.

use std::collections::HashMap;
use std::sync::Arc;

use fathom_proto::id::{ModelId, WorkerId};
use fathom_proto::registry::{Announcement, ServedModel};
use tokio::time::Instant;

use crate::breaker::{Admission, BreakerConfig};
use crate::connection::Connection;
use crate::engine::Engine;
use crate::health::Health;
use crate::metrics;
use crate::registry::pool::Member;
use crate::registry::pools::Pools;

/// Workers, and what of them is to be seen in the pools.
pub(super) struct Table {
    workers: HashMap<WorkerId, Worker>,
    pools: Arc<Pools>,
    /// The zone of this router; `None`: any is as good.
    zone: Option<String>,
    breaker: BreakerConfig,
    /// Since when nobody serves a model that somebody served.
    lost: HashMap<ModelId, Instant>,
    /// Connections that were made.
    connections: u32,
}

/// Most models that are remembered after the last worker of them.
const MAX_LOST: usize = 10_000;

/// One registered worker.
struct Worker {
    announcement: Announcement,
    connection: Arc<Connection>,
    /// One for each model, where several may be the same.
    engines: Vec<Arc<Engine>>,
    /// Whether it comes back by itself once it is out.
    leased: bool,
    /// False: a call did not reach it, and it has said nothing since.
    reachable: bool,
}

impl Table {
    pub fn new(pools: Arc<Pools>, zone: Option<String>, breaker: BreakerConfig) -> Self {
        Self {
            workers: HashMap::new(),
            pools,
            zone,
            breaker,
            lost: HashMap::new(),
            connections: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.workers.len()
    }

    pub fn contains(&self, worker: &WorkerId) -> bool {
        self.workers.contains_key(worker)
    }

    /// Whether this incarnation of a worker is the one that is known; 0 is any.
    pub fn is_incarnation(&self, worker: &WorkerId, incarnation: u64) -> bool {
        let known = self.workers.get(worker);
        incarnation == 0 || known.is_some_and(|known| known.announcement.incarnation == incarnation)
    }

    /// A number that no connection has had.
    pub fn next_number(&mut self) -> u32 {
        self.connections = self.connections.wrapping_add(1);
        self.connections
    }

    /// Renews the lease and the load of a worker that otherwise says what it said before; false
    /// if there is none, or it was out of reach.
    pub fn renew(&mut self, announcement: &Announcement, expires: Option<Instant>) -> bool {
        let known = self.workers.get_mut(&announcement.worker);
        let Some(worker) = known
            .filter(|known| known.reachable && same_but_load(&known.announcement, announcement))
        else {
            return false;
        };
        worker.connection.lease(expires);
        for (engine, said) in worker.engines.iter().zip(&announcement.models) {
            engine.announce(said.load);
        }
        true
    }

    /// The connection of the announced worker, if it is known at that place.
    pub fn connection(&self, announcement: &Announcement) -> Option<Arc<Connection>> {
        let known = self.workers.get(&announcement.worker)?;
        let before = (&known.announcement.endpoint, &known.announcement.zone);
        let same = before == (&announcement.endpoint, &announcement.zone);
        same.then(|| known.connection.clone())
    }

    /// The leased worker at `endpoint`.
    pub fn at(&self, endpoint: &str) -> Option<&WorkerId> {
        let mut workers = self.workers.iter();
        let at =
            workers.find(|(_, worker)| worker.leased && worker.announcement.endpoint == endpoint);
        at.map(|(id, _)| id)
    }

    /// Adds a worker in place of the one with its id, and of one that had its address before.
    pub fn insert(
        &mut self,
        announcement: Announcement,
        connection: Arc<Connection>,
        expires: Option<Instant>,
        now: Instant,
    ) {
        let leased = expires.is_some();
        connection.lease(expires);
        let before = self.workers.remove(&announcement.worker);
        let engines = self.engines(&announcement, before.as_ref(), now);
        let worker = Worker {
            announcement,
            connection,
            engines,
            leased,
            reachable: true,
        };
        let before_connection = before.as_ref().map(|before| &*before.connection);
        let near = self.is_near(&worker.announcement);
        for (served, engine) in worker.announcement.models.iter().zip(&worker.engines).rev() {
            let member = Member {
                connection: worker.connection.clone(),
                engine: engine.clone(),
                near,
            };
            self.pools.put(&served.model, before_connection, member);
        }
        for ServedModel { model, .. } in
            before.iter().flat_map(|before| &before.announcement.models)
        {
            if !worker
                .announcement
                .models
                .iter()
                .any(|now| now.model == *model)
                && let Some(connection) = before_connection
            {
                self.take(model, connection);
            }
        }
        self.replaced(&worker);
        self.workers
            .insert(worker.announcement.worker.clone(), worker);
        self.measure();
    }

    pub fn remove(&mut self, worker: &WorkerId) -> bool {
        let Some(removed) = self.workers.remove(worker) else {
            return false;
        };
        self.unroute(&removed.announcement, &removed.connection);
        self.measure();
        true
    }

    /// When `model` had its last worker; `None`: it never had one.
    pub fn last_served(&self, model: &ModelId, now: Instant) -> Option<Instant> {
        // A lease that is over counts until the worker is taken out.
        let serving = self.pools.get(model).map(|_| now);
        serving.or_else(|| self.lost.get(model).copied())
    }

    /// Asks nothing of the leased worker behind `connection` until it says that it is there. Its
    /// breaker stays, for one that says so and cannot be reached.
    pub fn put_aside(&mut self, connection: &Arc<Connection>) -> Option<WorkerId> {
        let worker = self.workers.values_mut().find(|worker| {
            worker.leased && worker.reachable && Arc::ptr_eq(&worker.connection, connection)
        })?;
        worker.reachable = false;
        let announcement = worker.announcement.clone();
        self.unroute(&announcement, connection);
        self.measure();
        Some(announcement.worker)
    }

    pub fn remove_expired(&mut self, now: Instant) -> Vec<WorkerId> {
        let workers = self.workers.iter();
        let expired = workers.filter(|(_, worker)| !worker.connection.is_live(now));
        let expired: Vec<WorkerId> = expired.map(|(id, _)| id.clone()).collect();
        for id in &expired {
            self.remove(id);
        }
        expired
    }

    /// How many workers are up and get no request, for one of their engines at least, by reason; a
    /// worker serves nothing if none of its names `is_target`.
    pub fn unrouted(
        &self,
        is_target: impl Fn(&ModelId) -> bool,
        now: Instant,
    ) -> [(&'static str, u32); 3] {
        let [mut unreachable, mut breaker, mut no_model] = [0; 3];
        for worker in self.workers.values() {
            if !worker.connection.is_live(now) {
                continue;
            }
            let mut engines = worker.engines.iter();
            let mut names = worker.announcement.models.iter();
            if !worker.reachable {
                unreachable += 1;
            } else if engines.any(|engine| engine.health.admission(now).0 != Admission::Free) {
                breaker += 1;
            } else if !names.any(|served| is_target(&served.model)) {
                no_model += 1;
            }
        }
        [
            ("unreachable", unreachable),
            ("breaker", breaker),
            ("no_model", no_model),
        ]
    }

    /// The engines of a worker: names with the same deployment share one, and those of before go
    /// on.
    fn engines(
        &self,
        announcement: &Announcement,
        before: Option<&Worker>,
        now: Instant,
    ) -> Vec<Arc<Engine>> {
        let mut engines: Vec<Arc<Engine>> = Vec::with_capacity(announcement.models.len());
        let before = before.map_or(&[][..], |before| &before.engines);
        for said in &announcement.models {
            let mut known = engines.iter().chain(before);
            let known = known.find(|known| *known.deployment == said.deployment);
            let engine = match known {
                Some(known) => known.clone(),
                None => {
                    let health = Health::new(announcement.worker.clone(), self.breaker);
                    Engine::new(said.deployment.clone(), health, now)
                }
            };
            engine.announce(said.load);
            engines.push(engine);
        }
        engines
    }

    fn is_near(&self, announcement: &Announcement) -> bool {
        let zones = self.zone.as_ref().zip(announcement.zone.as_ref());
        zones.is_none_or(|(own, theirs)| own == theirs)
    }

    /// A worker that started again has a new id, and would be known twice for the rest of a lease.
    fn replaced(&mut self, by: &Worker) {
        if !by.leased {
            return;
        }
        if let Some(id) = self.at(&by.announcement.endpoint).cloned() {
            self.remove(&id);
        }
    }

    fn unroute(&mut self, announcement: &Announcement, connection: &Connection) {
        for ServedModel { model, .. } in &announcement.models {
            self.take(model, connection);
        }
    }

    fn take(&mut self, model: &ModelId, connection: &Connection) {
        if self.pools.get(model).is_some() && self.pools.take(model, connection) {
            if self.lost.len() >= MAX_LOST {
                self.lost.clear();
            }
            self.lost.insert(model.clone(), Instant::now());
        }
    }

    fn measure(&self) {
        let reachable = self.workers.values().filter(|worker| worker.reachable);
        ::metrics::gauge!(metrics::WORKERS).set(reachable.count() as f64);
    }
}

/// Whether two announcements differ in nothing but what the engines have to do.
fn same_but_load(known: &Announcement, said: &Announcement) -> bool {
    let Announcement {
        worker,
        incarnation,
        endpoint,
        zone,
        version,
        models,
    } = known;
    let same = (worker, incarnation, endpoint, zone, version)
        == (
            &said.worker,
            &said.incarnation,
            &said.endpoint,
            &said.zone,
            &said.version,
        );
    same && models.len() == said.models.len()
        && models.iter().zip(&said.models).all(|(known, said)| {
            (&known.model, &known.deployment) == (&said.model, &said.deployment)
        })
}

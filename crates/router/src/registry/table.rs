//! The table behind the registry's lock: workers by id and by model.

use std::collections::HashMap;
use std::sync::Arc;

use fathom_proto::catalog::Deployment;
#[cfg(test)]
use fathom_proto::engines::EngineLoad;
use fathom_proto::id::{ModelId, WorkerId};
use fathom_proto::registry::{Announcement, ServedModel};
use tokio::time::Instant;

use crate::balance::least_loaded;
use crate::connection::{Connection, Load};
use crate::metrics;
use crate::place::{Ask, Pick, Place};

/// Workers, and which of them serve a model.
#[derive(Default)]
pub(super) struct Table {
    workers: HashMap<WorkerId, Worker>,
    serving: HashMap<ModelId, Vec<WorkerId>>,
    /// Since when nobody serves a model that somebody served.
    lost: HashMap<ModelId, Instant>,
    turn: usize,
}

/// Most models that are remembered after the last worker of them.
const MAX_LOST: usize = 10_000;

/// One registered worker.
pub(super) struct Worker {
    pub announcement: Announcement,
    pub connection: Arc<Connection>,
    /// `None`: never.
    pub expires: Option<Instant>,
}

impl Worker {
    fn is_live(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl Table {
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

    /// Renews the lease and the load of a worker that otherwise says what it said before; false
    /// if there is none.
    pub fn renew(&mut self, announcement: &Announcement, expires: Option<Instant>) -> bool {
        let known = self.workers.get_mut(&announcement.worker);
        let Some(worker) = known.filter(|known| same_but_load(&known.announcement, announcement))
        else {
            return false;
        };
        worker.expires = expires;
        let known = worker.announcement.models.iter_mut();
        for (known, said) in known.zip(&announcement.models) {
            known.load = said.load;
        }
        true
    }

    /// The connection of the announced worker, if it is known at that address.
    pub fn connection(&self, announcement: &Announcement) -> Option<Arc<Connection>> {
        let known = self.workers.get(&announcement.worker)?;
        (known.announcement.endpoint == announcement.endpoint).then(|| known.connection.clone())
    }

    /// Adds a worker in place of the one with its id.
    pub fn insert(&mut self, worker: Worker) {
        let id = worker.announcement.worker.clone();
        self.remove(&id);
        for served in &worker.announcement.models {
            let serving = self.serving.entry(served.model.clone()).or_default();
            if !serving.contains(&id) {
                serving.push(id.clone());
            }
        }
        self.workers.insert(id, worker);
        self.measure();
    }

    pub fn remove(&mut self, worker: &WorkerId) -> bool {
        let Some(removed) = self.workers.remove(worker) else {
            return false;
        };
        for ServedModel { model, .. } in &removed.announcement.models {
            if let Some(serving) = self.serving.get_mut(model) {
                serving.retain(|id| id != worker);
                if serving.is_empty() {
                    self.serving.remove(model);
                    if self.lost.len() >= MAX_LOST {
                        self.lost.clear();
                    }
                    self.lost.insert(model.clone(), Instant::now());
                }
            }
        }
        self.measure();
        true
    }

    /// When `model` had its last worker; `None`: it never had one.
    pub fn last_served(&self, model: &ModelId, now: Instant) -> Option<Instant> {
        // A lease that is over counts until the worker is taken out.
        let serving = self.serving.contains_key(model).then_some(now);
        serving.or_else(|| self.lost.get(model).copied())
    }

    /// Removes the leased worker behind `connection`, unless it has a newer one by now.
    pub fn remove_unreachable(&mut self, connection: &Arc<Connection>) -> Option<WorkerId> {
        let (id, _) = self.workers.iter().find(|(_, worker)| {
            worker.expires.is_some() && Arc::ptr_eq(&worker.connection, connection)
        })?;
        let id = id.clone();
        self.remove(&id);
        Some(id)
    }

    pub fn remove_expired(&mut self, now: Instant) -> Vec<WorkerId> {
        let expired = self
            .workers
            .iter()
            .filter(|(_, worker)| !worker.is_live(now));
        let expired: Vec<WorkerId> = expired.map(|(id, _)| id.clone()).collect();
        for id in &expired {
            self.remove(id);
        }
        expired
    }

    /// Takes a place on the least loaded worker. The count goes up before anyone else can look,
    /// so a burst spreads.
    pub fn pick(&mut self, ask: &Ask<'_>, now: Instant) -> Pick {
        let workers: Vec<_> = self.fitting(ask, now).collect();
        let running: Vec<_> = workers
            .iter()
            .map(|(worker, _)| worker.connection.running())
            .collect();
        let Some(least) = least_loaded(&running, self.turn) else {
            return Pick::Nobody;
        };
        let (worker, deployment) = workers[least];
        let deployment = Arc::new(deployment.clone());
        let place = Place::new(ask.target, Load::on(&worker.connection), deployment);
        self.turn = self.turn.wrapping_add(1);
        Pick::Place(place)
    }

    /// Whether a worker fits.
    pub fn serves(&self, ask: &Ask<'_>, now: Instant) -> bool {
        self.fitting(ask, now).next().is_some()
    }

    pub fn deployments(&self, model: &ModelId, now: Instant) -> impl Iterator<Item = &Deployment> {
        self.live(model, now)
            .flat_map(|worker| &worker.announcement.models)
            .filter(move |served| served.model == *model)
            .map(|served| &served.deployment)
    }

    /// What the engines behind `model` had to do when they last said so.
    #[cfg(test)]
    pub fn loads(&self, model: &ModelId) -> Vec<EngineLoad> {
        self.live(model, Instant::now())
            .flat_map(|worker| &worker.announcement.models)
            .filter(|served| served.model == *model)
            .map(|served| served.load)
            .collect()
    }

    fn fitting(&self, ask: &Ask<'_>, now: Instant) -> impl Iterator<Item = (&Worker, &Deployment)> {
        let Ask {
            target,
            tried,
            like,
            ..
        } = *ask;
        self.live(target, now)
            .filter(|worker| {
                let connection = &worker.connection;
                !tried.iter().any(|tried| Arc::ptr_eq(tried, connection))
            })
            .filter_map(move |worker| {
                let served = worker.announcement.models.iter();
                let served = served.filter(|served| served.model == *target);
                let deployment = served.map(|served| &served.deployment).next()?;
                let fits = like.is_none_or(|like| like == deployment);
                fits.then_some((worker, deployment))
            })
    }

    fn live(&self, model: &ModelId, now: Instant) -> impl Iterator<Item = &Worker> {
        let serving = self.serving.get(model).map_or(&[][..], Vec::as_slice);
        serving
            .iter()
            .filter_map(|id| self.workers.get(id))
            .filter(move |worker| worker.is_live(now))
    }

    fn measure(&self) {
        ::metrics::gauge!(metrics::WORKERS).set(self.workers.len() as f64);
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

//! One worker: how to call it, and whether it may be asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fathom_kit::net::Endpoint;
use fathom_proto::grpc::InferenceClient;
use fathom_proto::id::WorkerId;
use fathom_proto::inference::Inference;
use tokio::time::Instant;

use crate::breaker::{Admission, Breaker, BreakerConfig, Change, Pass};
use crate::metrics;
use crate::outcome::Outcome;

/// Makes the port of a worker from its address.
pub(crate) type Connect =
    Box<dyn Fn(&Endpoint) -> Result<Arc<dyn Inference>, String> + Send + Sync>;

/// Over gRPC; connects at the first call.
pub(crate) fn over_grpc(endpoint: &Endpoint) -> Result<Arc<dyn Inference>, String> {
    Ok(Arc::new(InferenceClient::new(endpoint.channel()?)))
}

/// A worker that can be called.
pub(crate) struct Connection {
    pub inference: Arc<dyn Inference>,
    /// Tells connections apart for as long as this process lives.
    pub number: u32,
    worker: WorkerId,
    /// Where it runs; `None`: it does not say.
    zone: Option<String>,
    /// When it appeared beside others; `None`: it was there from the start.
    appeared: Option<Instant>,
    state: Mutex<State>,
}

struct State {
    breaker: Breaker,
    /// Until when it counts as up; `None`: for ever.
    expires: Option<Instant>,
}

/// Whether a worker may be asked, and since when it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub admission: Admission,
    /// When it appeared or was back last; `None`: it was there from the start.
    pub since: Option<Instant>,
}

impl Connection {
    pub fn new(
        inference: Arc<dyn Inference>,
        worker: WorkerId,
        zone: Option<String>,
        number: u32,
        appeared: Option<Instant>,
        breaker: BreakerConfig,
    ) -> Arc<Self> {
        let state = State {
            breaker: Breaker::new(breaker),
            expires: None,
        };
        Arc::new(Self {
            inference,
            number,
            worker,
            zone,
            appeared,
            state: Mutex::new(state),
        })
    }

    /// It counts as up until `expires`; `None`: for ever.
    pub fn lease(&self, expires: Option<Instant>) {
        self.state().expires = expires;
    }

    /// Whether both are known to run in the same zone.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.zone.is_some() && self.zone == other.zone
    }

    pub fn is_live(&self, now: Instant) -> bool {
        is_live(&self.state(), now)
    }

    /// `None`: its lease is over.
    pub fn standing(&self, now: Instant) -> Option<Standing> {
        let state = self.state();
        is_live(&state, now).then(|| Standing {
            admission: state.breaker.admission(now),
            since: state.breaker.recovered().max(self.appeared),
        })
    }

    /// Takes leave to ask it.
    ///
    /// # Errors
    /// When it may be asked instead.
    pub fn admit(&self, now: Instant) -> Result<Pass, Duration> {
        let mut state = self.state();
        let before = state.breaker.recovered();
        let pass = state.breaker.admit(now)?;
        let recovered = state.breaker.recovered() != before;
        drop(state);
        if pass.is_probe() {
            transition("half_open");
        } else if recovered {
            self.note(Change::Closed);
        }
        Ok(pass)
    }

    /// A request has its first token.
    pub fn first_token(&self, pass: Pass, now: Instant) {
        if pass.is_probe() {
            self.state().breaker.first_token(pass, now);
        }
    }

    /// Counts how a request ended.
    pub fn settle(&self, pass: Pass, outcome: Outcome, now: Instant) {
        let change = self.state().breaker.settle(pass, outcome.verdict(), now);
        if let Some(change) = change {
            self.note(change);
        }
    }

    fn note(&self, change: Change) {
        let worker = &self.worker;
        match change {
            Change::Opened(delay) => {
                transition("open");
                let delay_ms = delay.as_millis();
                tracing::warn!(worker.id = %worker, delay_ms, "worker fails; it is not asked");
            }
            Change::Closed => {
                transition("closed");
                tracing::info!(worker.id = %worker, "worker works again");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_live(state: &State, now: Instant) -> bool {
    state.expires.is_none_or(|expires| now < expires)
}

fn transition(to: &'static str) {
    ::metrics::counter!(metrics::BREAKER_TOTAL, "to" => to).increment(1);
}

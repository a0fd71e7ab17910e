//! A place on a worker for one attempt.

use std::sync::Arc;
use std::time::Duration;

use fathom_proto::catalog::Deployment;
use fathom_proto::id::{ModelId, TenantId};
use fathom_proto::inference::Inference;
use tokio::time::Instant;

use crate::breaker::Pass;
use crate::connection::Connection;
use crate::engine::Load;
use crate::metrics;
use crate::outcome::{Outcome, Verdict};

/// What a place is wanted for.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// The name that workers announce.
    pub target: &'a ModelId,
    pub tenant: &'a TenantId,
    /// Hashes of the prompt's beginnings, the shortest first, each over a block more; empty: no
    /// beginning is worth finding again.
    pub prefixes: &'a [u64],
    /// Workers that are of no use.
    pub tried: &'a [Arc<Connection>],
    /// Workers whose zones are of no use while there are others.
    pub lost: &'a [Arc<Connection>],
    /// Only workers with this deployment; `None`: with any.
    pub like: Option<&'a Deployment>,
}

/// What an [`Ask`] leads to.
pub(crate) enum Pick {
    Place(Place),
    /// There are workers, and each has failed too often to be asked: one may be after so long.
    Out(Duration),
    /// There is no such worker.
    Nobody,
}

/// A place on a worker: it counts as running until it is settled or dropped.
pub(crate) struct Place {
    model: ModelId,
    outcome: Outcome,
    connection: Arc<Connection>,
    load: Load,
    pass: Pass,
}

impl Place {
    pub fn new(model: &ModelId, connection: &Arc<Connection>, load: Load, pass: Pass) -> Self {
        ::metrics::gauge!(metrics::IN_FLIGHT, "model" => model.to_string()).increment(1.0);
        // Whoever drops it without a word is a caller that went away.
        Self {
            model: model.clone(),
            outcome: Outcome::Dropped,
            connection: connection.clone(),
            load,
            pass,
        }
    }

    /// What to call.
    pub fn worker(&self) -> Arc<dyn Inference> {
        self.connection.inference.clone()
    }

    /// Names the worker among those that were tried.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// What answers there.
    pub fn deployment(&self) -> &Arc<Deployment> {
        &self.load.engine().deployment
    }

    /// The first token came so long after the attempt began.
    pub fn first_token(&self, after: Duration) {
        let now = Instant::now();
        let engine = self.load.engine();
        engine.first_token(after, now);
        engine.health.first_token(self.pass, now);
    }

    /// Frees the place; the worker is judged by how it went.
    pub fn settle(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = Instant::now();
        let engine = self.load.engine();
        if self.outcome.verdict() == Verdict::Refusal {
            engine.refused(now);
        }
        engine.health.settle(self.pass, self.outcome, now);
        let model = self.model.to_string();
        let outcome = self.outcome.name();
        ::metrics::gauge!(metrics::IN_FLIGHT, "model" => model.clone()).decrement(1.0);
        ::metrics::counter!(metrics::DISPATCHES_TOTAL, "model" => model, "outcome" => outcome)
            .increment(1);
    }
}

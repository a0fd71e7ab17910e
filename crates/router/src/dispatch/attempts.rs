//! The workers that one request is tried on, one after the other.

use std::sync::Arc;

use fathom_proto::catalog::Deployment;
use fathom_proto::id::TenantId;
use fathom_proto::inference::RequestContext;
use fathom_proto::{Error as PublicError, ErrorCode};
use tokio::time::Instant;
use tower::retry::budget::Budget;

use crate::admission::{Shed, Ticket, Turn};
use crate::affinity::Prefixes;
use crate::connection::Connection;
use crate::dispatch::Dispatch;
use crate::dispatch::attempt::{Contact, Failure};
use crate::dispatch::retry::{Next, Retry};
use crate::dispatch::target::Target;
use crate::place::{Ask, Pick, Place};
use crate::{Error, metrics};

/// What was tried, and what is left to try.
pub(super) struct Attempts {
    dispatch: Arc<Dispatch>,
    target: Arc<Target>,
    tenant: TenantId,
    deadline: Option<Instant>,
    /// Beginnings of the prompt, if they matter.
    prefixes: Prefixes,
    /// What generated the tokens that came; `None`: none came, and any worker will do.
    like: Option<Arc<Deployment>>,
    retry: Retry,
    /// Workers that failed since the last pause or token.
    tried: Vec<Arc<Connection>>,
    /// Workers that fell silent: what is the matter with them may be with their zones.
    lost: Vec<Arc<Connection>>,
    /// A worker was asked.
    has_asked: bool,
    /// A place that was found while waiting.
    found: Option<Place>,
    /// The place in the line of those who wait for room.
    ticket: Option<Ticket>,
}

impl Attempts {
    pub fn new(
        dispatch: &Arc<Dispatch>,
        target: Arc<Target>,
        context: &RequestContext,
        prefixes: Prefixes,
    ) -> Self {
        Self {
            retry: Retry::new(dispatch.workers.retry()),
            dispatch: dispatch.clone(),
            target,
            tenant: context.tenant.clone(),
            deadline: context.deadline,
            prefixes,
            like: None,
            tried: Vec::new(),
            lost: Vec::new(),
            has_asked: false,
            found: None,
            ticket: None,
        }
    }

    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// The next worker's place. Where others wait for room, this waits behind them; where there
    /// is no worker, for one that may be coming up.
    pub async fn place(&mut self) -> Result<Place, Error> {
        if !self.has_asked && self.target.line.len() > 0 {
            self.turn().await?;
        }
        self.has_asked = true;
        if let Some(place) = self.found.take() {
            return Ok(place);
        }
        let pick = match self.dispatch.workers.pick(&self.ask()) {
            Pick::Nobody => {
                let expected = self.dispatch.workers.expected_until(&self.target.name);
                self.wait(expected).await
            }
            // Who has a beginning rather waits for the rest than loses it.
            Pick::Out(_) if self.like.is_some() => {
                self.wait(Instant::now() + self.dispatch.limits.between_tokens)
                    .await
            }
            pick => pick,
        };
        let model = || self.target.name.clone();
        match pick {
            Pick::Place(place) => {
                // Who waits hears of streams that end, and not of workers that come.
                if self.target.line.len() > 0 && self.dispatch.workers.has_room(&self.ask()) {
                    self.target.line.freed();
                }
                Ok(place)
            }
            Pick::Out(retry_after) => Err(Error::AllOut {
                model: model(),
                retry_after,
            }),
            Pick::Nobody => Err(Error::NoWorker { model: model() }),
        }
    }

    /// A place on a worker that was not tried, beside the running attempt on `current`.
    pub fn another(&self, current: &Arc<Connection>) -> Option<Place> {
        let mut tried = self.tried.clone();
        tried.push(current.clone());
        let ask = Ask {
            tried: &tried,
            ..self.ask()
        };
        match self.dispatch.workers.pick(&ask) {
            Pick::Place(place) => Some(place),
            Pick::Out(_) | Pick::Nobody => None,
        }
    }

    /// A token came from such a worker.
    pub fn progressed(&mut self, deployment: &Arc<Deployment>) {
        self.retry.progressed();
        self.tried.clear();
        if self.like.is_none() {
            self.like = Some(deployment.clone());
        }
    }

    /// Notes that a worker failed while another one goes on.
    pub fn lost_one(&mut self, connection: Arc<Connection>, contact: Contact) {
        if contact == Contact::Lost {
            self.retry.lost_one();
        }
        self.avoid(connection, contact);
    }

    fn avoid(&mut self, connection: Arc<Connection>, contact: Contact) {
        if contact == Contact::None {
            self.dispatch.workers.forget(&connection);
        } else if contact == Contact::Lost {
            self.lost.push(connection.clone());
        }
        self.tried.push(connection);
    }

    /// Notes that the last worker failed, and returns when [`Self::place`] has another try. The
    /// error is the answer if there is none.
    pub async fn failed(
        &mut self,
        connection: Arc<Connection>,
        failure: Failure,
    ) -> Result<(), PublicError> {
        self.avoid(connection, failure.contact);
        let others = self.dispatch.workers.serve(&self.ask());
        let next = self.retry.after(&failure, others);
        let Failure { error, contact } = failure;
        match next {
            Next::GiveUp => return Err(error),
            Next::Queue => return self.queue(error).await,
            Next::Now | Next::Later(_) if contact != Contact::None && !self.may_retry() => {
                if error.code == ErrorCode::Overloaded {
                    return self.queue(error).await;
                }
                return Err(error);
            }
            Next::Now => {}
            Next::Later(delay) => {
                let until = Instant::now() + delay;
                if self.deadline.is_some_and(|deadline| deadline <= until) {
                    return Err(error);
                }
                if let Pick::Place(place) = self.wait(until).await {
                    self.found = Some(place);
                }
                self.tried.clear();
            }
        }
        let model = self.target.name.to_string();
        ::metrics::counter!(metrics::RETRIES_TOTAL, "model" => model).increment(1);
        Ok(())
    }

    fn ask(&self) -> Ask<'_> {
        Ask {
            target: &self.target.name,
            tenant: &self.tenant,
            prefixes: &self.prefixes,
            tried: &self.tried,
            lost: &self.lost,
            like: self.like.as_deref(),
        }
    }

    /// Waits for a worker that has not failed to come up, or to be asked again.
    async fn wait(&self, until: Instant) -> Pick {
        let until = self.deadline.map_or(until, |deadline| deadline.min(until));
        self.dispatch.workers.wait(&self.ask(), until).await
    }

    /// Waits for room on a worker, after one that has none has said `error`.
    async fn queue(&mut self, error: PublicError) -> Result<(), PublicError> {
        if self.dispatch.workers.has_room(&self.ask()) {
            return Ok(());
        }
        let rest = error.retry_after.unwrap_or_default();
        if rest > self.target.line.max_age() {
            return Err(error);
        }
        self.target.line.rest(rest);
        Ok(self.turn().await?)
    }

    async fn turn(&mut self) -> Result<(), Error> {
        let model = self.target.name.to_string();
        let line = &self.target.line;
        let ticket = self.ticket.get_or_insert_with(|| line.enter());
        let fastest = self.target.first_tokens.fastest().unwrap_or_default();
        let until = self.deadline.and_then(|at| at.checked_sub(fastest));
        let _queued = Queued::new(&model);
        loop {
            match line.wait(ticket, until).await {
                Ok(Turn::Probe) if self.has_asked && !self.dispatch.budget.withdraw() => {}
                Ok(_) => break,
                Err(shed) => {
                    let reason = match shed {
                        Shed::Age => "age",
                        Shed::Length => "length",
                        Shed::Deadline => "deadline",
                    };
                    ::metrics::counter!(metrics::SHED_TOTAL, "model" => model, "reason" => reason)
                        .increment(1);
                    return Err(match shed {
                        Shed::Deadline => Error::DeadlinePassed,
                        Shed::Age | Shed::Length => Error::Full {
                            model: self.target.name.clone(),
                        },
                    });
                }
            }
        }
        self.tried.clear();
        Ok(())
    }

    fn may_retry(&self) -> bool {
        let may = self.dispatch.budget.withdraw();
        if !may {
            ::metrics::counter!(metrics::RETRIES_REFUSED_TOTAL).increment(1);
        }
        may
    }
}

/// One more request that waits, for as long as this lives.
struct Queued(::metrics::Gauge);

impl Queued {
    fn new(model: &str) -> Self {
        let gauge = ::metrics::gauge!(metrics::QUEUED, "model" => model.to_owned());
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

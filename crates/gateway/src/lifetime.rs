//! What ends a request from outside: its deadline, the end of its caller's rights, the end of this
//! server.

use std::time::Duration;

use fathom_proto::id::{ModelId, UserId};
use fathom_proto::identity::Scope;
use fathom_proto::inference::RequestContext;
use fathom_proto::{Error, ErrorCode};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use crate::Gateway;
use crate::error::model_not_found;
use crate::identity::Session;
use crate::limits::RateLimits;
use crate::record::Record;

/// The time in which a request for a model may run.
pub struct Lifetime {
    model: ModelId,
    deadline: Instant,
    over: BoxFuture<'static, Error>,
}

impl Lifetime {
    /// Begins, if the caller may ask the model. `timeout` is how long the caller waits, if it
    /// says so.
    pub fn begin(
        gateway: &Gateway,
        session: &Session,
        model: &ModelId,
        timeout: Option<Duration>,
    ) -> Result<Self, Error> {
        session.check(Scope::Inference, Some(model))?;
        let longest = gateway.config.request_timeout;
        let deadline = Instant::now() + timeout.map_or(longest, |timeout| timeout.min(longest));
        let caller_ended = session.clone().ended(Scope::Inference, Some(model.clone()));
        let expired = gateway.shutdown.expired_token();
        let over = async move {
            tokio::select! {
                biased;
                error = caller_ended => error,
                () = sleep_until(deadline) => deadline_exceeded(),
                () = expired.cancelled() => shutting_down(),
            }
        };
        Ok(Self {
            model: model.clone(),
            deadline,
            over: over.boxed(),
        })
    }

    /// What the services behind are told of the request; a caller that names no user is one.
    pub fn context(
        &self,
        session: &Session,
        record: &Record,
        user: Option<UserId>,
    ) -> RequestContext {
        let principal = session.principal();
        record.set_limits(RateLimits::of(principal, &self.model));
        RequestContext {
            request_id: record.id().clone(),
            tenant: principal.tenant.clone(),
            user: user.unwrap_or_else(|| principal.subject.as_str().into()),
            deadline: Some(self.deadline),
        }
    }

    /// What the service behind answers, if it does so in this time.
    pub async fn run<T>(
        &mut self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            error = &mut self.over => Err(error),
            answer = answer => answer.map_err(|error| match error.code {
                ErrorCode::ModelNotFound => model_not_found(&self.model),
                _ => error,
            }),
        }
    }

    /// Completes when this time is over, with the reason.
    pub async fn over(self) -> Error {
        self.over.await
    }
}

fn deadline_exceeded() -> Error {
    Error::new(
        ErrorCode::DeadlineExceeded,
        "the request took longer than this server allows, or than its caller waits",
    )
}

fn shutting_down() -> Error {
    Error::new(
        ErrorCode::ShuttingDown,
        "this server is going down; send the request again",
    )
    // Another one behind the same name takes it, as soon as nobody is sent here any more.
    .retry_after(Duration::from_secs(1))
}

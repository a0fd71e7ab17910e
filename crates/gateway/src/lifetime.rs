//! What ends a request from outside: its deadline, the end of its caller's rights, the end of this
//! server.

use std::pin::Pin;
use std::task::{Context, Poll};

use fathom_proto::id::ModelId;
use fathom_proto::identity::Scope;
use fathom_proto::inference::RequestContext;
use fathom_proto::{Error, ErrorCode};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::Gateway;
use crate::error::model_not_found;
use crate::identity::Session;
use crate::record::Record;

/// The time in which a request for a model may run.
pub struct Lifetime {
    model: ModelId,
    caller_ended: BoxFuture<'static, Error>,
    deadline: Pin<Box<Sleep>>,
    expired: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Lifetime {
    /// Begins, if the caller may ask the model.
    pub fn begin(gateway: &Gateway, session: &Session, model: &ModelId) -> Result<Self, Error> {
        session.check(Scope::Inference, Some(model))?;
        let deadline = tokio::time::Instant::now() + gateway.config.request_timeout;
        let ended = session.clone().ended(Scope::Inference, Some(model.clone()));
        Ok(Self {
            model: model.clone(),
            caller_ended: ended.boxed(),
            deadline: Box::pin(sleep_until(deadline)),
            expired: Box::pin(gateway.shutdown.expired_token().cancelled_owned()),
        })
    }

    /// What the services behind are told of the request.
    pub fn context(&self, session: &Session, record: &Record) -> RequestContext {
        RequestContext {
            request_id: record.id().clone(),
            tenant: session.principal().tenant.clone(),
            user: session.principal().subject.as_str().into(),
            deadline: Some(self.deadline.deadline()),
        }
    }

    /// What the service behind answers, if it does so in this time.
    pub async fn run<T>(
        &mut self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            error = &mut self.caller_ended => Err(error),
            answer = answer => answer.map_err(|error| match error.code {
                ErrorCode::ModelNotFound => model_not_found(&self.model),
                _ => error,
            }),
            () = &mut self.deadline => Err(deadline_exceeded()),
            () = &mut self.expired => Err(shutting_down()),
        }
    }

    /// Whether the caller is not who it was, or may not ask the model any more.
    pub fn poll_caller_ended(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        self.caller_ended.poll_unpin(context)
    }

    /// Whether the time is over.
    pub fn poll_time_over(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        if self.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(deadline_exceeded());
        }
        self.expired
            .as_mut()
            .poll(context)
            .map(|()| shutting_down())
    }
}

fn deadline_exceeded() -> Error {
    Error::new(
        ErrorCode::DeadlineExceeded,
        "the request took longer than this server allows",
    )
}

fn shutting_down() -> Error {
    Error::new(
        ErrorCode::ShuttingDown,
        "this server is going down; send the request again",
    )
}

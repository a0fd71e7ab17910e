//! One generation as the gateway sees it: with its deadline, its counts, and an end that is always
//! told, whatever happens behind.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use fathom_proto::id::RequestId;
use fathom_proto::identity::Scope;
use fathom_proto::inference::{
    Event, FinishReason, GenerateRequest, RequestContext, TokenStream, Usage,
};
use fathom_proto::{Error, ErrorCode};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::Gateway;
use crate::error::model_not_found;
use crate::identity::Session;
use crate::record::Record;

/// A running generation: a stream of [`Piece`]s. Dropping it stops the engine.
pub struct Generation {
    /// What the caller asked for.
    pub model: String,
    /// Seconds since the epoch.
    pub created: u64,
    stream: TokenStream,
    record: Record,
    usage: Usage,
    identity_ended: BoxFuture<'static, Error>,
    deadline: Pin<Box<Sleep>>,
    expired: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
}

/// What a generation yields: text, then one end.
#[derive(Debug, PartialEq)]
pub enum Piece {
    /// The next text; never empty.
    Text(String),
    /// The generation is complete.
    End(FinishReason, Usage),
}

impl Generation {
    /// Asks the router and waits until a worker has accepted the prompt. From here to its end, the
    /// generation ends if the caller is not who it was, or may not ask the model any more.
    pub async fn start(
        gateway: &Gateway,
        session: &Session,
        record: &Record,
        request: GenerateRequest,
    ) -> Result<Self, Error> {
        session.check(Scope::Inference, Some(&request.model))?;
        let deadline = Instant::now() + gateway.config.request_timeout;
        let mut expired = Box::pin(gateway.shutdown.expired_token().cancelled_owned());
        let context = RequestContext {
            request_id: record.id().clone(),
            tenant: session.principal().tenant.clone(),
            deadline: Some(deadline),
        };
        let model = request.model.clone();
        let ended = session.clone().ended(Scope::Inference, Some(model.clone()));
        let mut identity_ended = ended.boxed();
        let begin = async {
            let mut stream = gateway.inference.generate(request, context).await?;
            match stream.next().await {
                Some(Ok(Event::Started { prompt_tokens })) => Ok((stream, prompt_tokens)),
                Some(Err(error)) => Err(error),
                Some(Ok(_)) | None => Err(Error::new(
                    ErrorCode::WorkerFailed,
                    "the worker did not begin as it should",
                )),
            }
        };
        let (stream, prompt_tokens) = tokio::select! {
            biased;
            error = &mut identity_ended => return Err(error),
            begun = begin => begun.map_err(|error| match error.code {
                ErrorCode::ModelNotFound => model_not_found(&model),
                _ => error,
            })?,
            () = tokio::time::sleep_until(deadline) => return Err(deadline_exceeded()),
            () = &mut expired => return Err(shutting_down()),
        };
        let usage = Usage {
            prompt_tokens,
            completion_tokens: 0,
        };
        record.set_model(model.clone());
        record.set_usage(usage);
        Ok(Self {
            model: model.to_string(),
            created: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |time| time.as_secs()),
            stream,
            record: record.clone(),
            usage,
            identity_ended,
            deadline: Box::pin(tokio::time::sleep_until(deadline)),
            expired,
            ended: false,
        })
    }

    /// The id of the request, which names the answer too.
    pub fn request_id(&self) -> &RequestId {
        self.record.id()
    }

    /// Waits for all of it.
    pub async fn whole(mut self) -> Result<(String, FinishReason, Usage), Error> {
        let mut answer = String::new();
        while let Some(piece) = self.next().await {
            match piece? {
                Piece::Text(text) => answer.push_str(&text),
                Piece::End(reason, usage) => return Ok((answer, reason, usage)),
            }
        }
        Err(truncated())
    }

    fn event(&mut self, event: Event) -> Option<Result<Piece, Error>> {
        match event {
            Event::Started { .. } => None,
            Event::Delta { text, tokens } => {
                self.usage.completion_tokens = self.usage.completion_tokens.saturating_add(tokens);
                self.record.set_usage(self.usage);
                if text.is_empty() {
                    return None;
                }
                self.record.token();
                Some(Ok(Piece::Text(text)))
            }
            Event::Finished { reason, usage } => {
                self.record.set_usage(usage);
                Some(Ok(Piece::End(reason, usage)))
            }
        }
    }
}

impl Stream for Generation {
    type Item = Result<Piece, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let piece = loop {
            // A reader that is slow has always something waiting, so who it is comes first.
            if let Poll::Ready(error) = this.identity_ended.poll_unpin(context) {
                break Err(error);
            }
            // The engine comes next: what is there already is not lost to a deadline.
            match this.stream.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(event))) => match this.event(event) {
                    Some(piece) => break piece,
                    None => continue,
                },
                Poll::Ready(Some(Err(error))) => break Err(error),
                Poll::Ready(None) => break Err(truncated()),
                Poll::Pending => {}
            }
            if this.deadline.as_mut().poll(context).is_ready() {
                break Err(deadline_exceeded());
            }
            if this.expired.as_mut().poll(context).is_ready() {
                break Err(shutting_down());
            }
            return Poll::Pending;
        };
        if let Err(error) = &piece {
            this.record.set_error(error.code);
        }
        this.ended = !matches!(piece, Ok(Piece::Text(_)));
        Poll::Ready(Some(piece))
    }
}

fn truncated() -> Error {
    Error::new(
        ErrorCode::WorkerFailed,
        "the worker stopped before the answer was complete",
    )
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

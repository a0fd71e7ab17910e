//! A request's generations as the gateway sees them: with their deadline, their counts, and an end
//! that is always told, whatever happens behind.

mod choices;
mod counts;
mod guarded;
mod whole;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{SystemTime, UNIX_EPOCH};

use fathom_proto::id::RequestId;
use fathom_proto::inference::{Delta, Event, FinishReason, Piece, Usage};
use fathom_proto::{Error, ErrorCode};
use futures::{Stream, TryStreamExt};

use self::choices::Choices;
use self::counts::Counts;
use self::guarded::Guarded;
use crate::Gateway;
use crate::identity::Session;
use crate::lifetime::Lifetime;
use crate::record::Record;
use crate::request::FanOut;

pub use whole::WholeChoice;

/// The running generations of one request: a stream of [`Output`]s. Dropping it stops them all.
pub struct Generation {
    /// What the caller asked for.
    pub model: String,
    /// Seconds since the epoch.
    pub created: u64,
    /// What an upstream calls its configuration.
    pub fingerprint: Option<String>,
    choices: Guarded,
    unfinished: usize,
    counts: Counts,
    record: Record,
    ended: bool,
}

/// What the generations of a request yield.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Something of a choice, never empty.
    Delta {
        /// Which choice.
        choice: usize,
        /// What is new.
        delta: Delta,
    },
    /// A choice is complete.
    Finish {
        /// Which choice.
        choice: usize,
        /// Why.
        reason: FinishReason,
        /// The counts of all choices, with the last one.
        usage: Option<Usage>,
    },
}

impl Generation {
    /// Asks the router and waits until a worker has begun one of the choices. From here to its
    /// end, the generation ends if the caller is not who it was, or may not ask the model any more.
    pub async fn start(
        gateway: &Gateway,
        session: &Session,
        record: &Record,
        asked: FanOut,
    ) -> Result<Self, Error> {
        let FanOut {
            model,
            requests,
            per_prompt,
            user,
            timeout,
        } = asked;
        let mut lifetime = Lifetime::begin(gateway, session, &model, timeout)?;
        let context = lifetime.context(session, record, user);
        let count = requests.len();
        let at_a_time = gateway.config.concurrent_choices;
        let begin = async {
            let mut choices =
                Choices::ask(&gateway.inference, requests, context, at_a_time).await?;
            let begun = choices.try_next().await?;
            Ok((choices, begun.ok_or_else(choices::did_not_begin)?))
        };
        let waiting = record.asks();
        let (choices, (begun, started)) = lifetime.run(begin).await?;
        drop(waiting);
        record.set_model(model.clone());
        let mut generation = Self {
            model: model.to_string(),
            created: now(),
            fingerprint: None,
            choices: Guarded::new(choices, lifetime),
            unfinished: count,
            counts: Counts::new(count, per_prompt),
            record: record.clone(),
            ended: false,
        };
        generation.event(begun, started);
        Ok(generation)
    }

    /// The id of the request, which names the answer too.
    pub fn request_id(&self) -> &RequestId {
        self.record.id()
    }

    /// How many choices there are.
    pub fn choices(&self) -> usize {
        self.counts.choices()
    }

    /// What was counted so far, of all choices.
    pub fn usage(&self) -> Usage {
        self.counts.sum()
    }

    /// The answer ends with this error, whichever side it comes from.
    pub fn failed(&self, error: &Error) {
        self.record.set_error(error.code);
        error.log_cause(Some(self.record.id()));
    }

    /// Completes when the generation may not go on, with the reason; for those who do something
    /// else than read it.
    pub async fn over(&mut self) -> Error {
        self.choices.over().await
    }

    fn event(&mut self, choice: usize, event: Event) -> Option<Output> {
        match event {
            Event::Started {
                prompt_tokens,
                cached_tokens,
                fingerprint,
                route,
            } => {
                if let Some(route) = route {
                    self.record.set_route(*route);
                }
                self.fingerprint = self.fingerprint.take().or(fingerprint);
                self.counts.begin(choice, prompt_tokens, cached_tokens);
                self.record.set_usage(self.counts.sum());
                None
            }
            Event::Delta(delta) => {
                self.counts.delta(choice, &delta);
                if is_empty(&delta) {
                    self.record.set_usage(self.counts.sum());
                    return None;
                }
                self.record.token(self.counts.sum());
                Some(Output::Delta { choice, delta })
            }
            Event::Finished { reason, usage } => {
                self.counts.finish(choice, usage);
                self.record.set_usage(self.counts.sum());
                self.unfinished = self.unfinished.saturating_sub(1);
                Some(Output::Finish {
                    choice,
                    reason,
                    usage: (self.unfinished == 0).then(|| self.counts.sum()),
                })
            }
        }
    }
}

impl Stream for Generation {
    type Item = Result<Output, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let output = loop {
            match ready!(this.choices.poll_event(context)) {
                Ok((choice, event)) => match this.event(choice, event) {
                    Some(output) => break Ok(output),
                    None => continue,
                },
                Err(error) => break Err(error),
            }
        };
        if let Err(error) = &output {
            this.record.set_error(error.code);
        }
        this.ended = match &output {
            Ok(Output::Delta { .. }) => false,
            Ok(Output::Finish { usage, .. }) => usage.is_some(),
            Err(_) => true,
        };
        if this.ended {
            // One that failed takes the others with it, at once and not when the reader is done.
            this.choices.stop();
        }
        Poll::Ready(Some(output))
    }
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

/// Whether nobody would miss it.
fn is_empty(delta: &Delta) -> bool {
    match &delta.piece {
        Piece::Text(text) | Piece::Reasoning(text) => text.is_empty() && delta.logprobs.is_empty(),
        Piece::ToolCall(_) => false,
    }
}

/// The error of a generation that ends without an end.
pub fn truncated() -> Error {
    Error::new(
        ErrorCode::WorkerFailed,
        "the worker stopped before the answer was complete",
    )
}

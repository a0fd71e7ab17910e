//! A request's generations as the gateway sees them: with their deadline, their counts, and an end
//! that is always told, whatever happens behind.

mod choices;
mod counts;
mod whole;

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use fathom_proto::id::RequestId;
use fathom_proto::inference::{Delta, Event, FinishReason, Piece, Usage};
use fathom_proto::{Error, ErrorCode};
use futures::{Stream, StreamExt};

use self::choices::Choices;
use self::counts::Counts;
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
    choices: Choices,
    /// What the first choices yielded while the last ones had not begun; at most their answers.
    early: VecDeque<(usize, Event)>,
    unfinished: usize,
    counts: Counts,
    record: Record,
    lifetime: Lifetime,
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
    /// Asks the router and waits until workers have accepted the prompt of each choice. From here
    /// to its end, the generation ends if the caller is not who it was, or may not ask the model
    /// any more.
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
        } = asked;
        let mut lifetime = Lifetime::begin(gateway, session, &model)?;
        let context = lifetime.context(session, record);
        let count = requests.len();
        let mut counts = Counts::new(count, per_prompt);
        let mut early = VecDeque::new();
        let mut fingerprint = None;
        let begin = async {
            let mut choices = Choices::ask(&gateway.inference, requests, context).await?;
            let mut begun = 0;
            while begun < count {
                let Some((choice, event)) = choices.next().await else {
                    return Err(choices::did_not_begin());
                };
                match event? {
                    Event::Started {
                        prompt_tokens,
                        cached_tokens,
                        fingerprint: name,
                        route: _,
                    } => {
                        begun += 1;
                        fingerprint = fingerprint.take().or(name);
                        counts.begin(choice, prompt_tokens, cached_tokens);
                    }
                    event => early.push_back((choice, event)),
                }
            }
            Ok(choices)
        };
        let choices = lifetime.run(begin).await?;
        record.set_model(model.clone());
        record.set_usage(counts.sum());
        Ok(Self {
            model: model.to_string(),
            created: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |time| time.as_secs()),
            fingerprint,
            choices,
            early,
            unfinished: count,
            counts,
            record: record.clone(),
            lifetime,
            ended: false,
        })
    }

    /// The id of the request, which names the answer too.
    pub fn request_id(&self) -> &RequestId {
        self.record.id()
    }

    /// How many choices there are.
    pub fn choices(&self) -> usize {
        self.counts.choices()
    }

    fn event(&mut self, choice: usize, event: Event) -> Option<Output> {
        match event {
            Event::Started { .. } => None,
            Event::Delta(delta) => {
                self.counts.delta(choice, &delta);
                self.record.set_usage(self.counts.sum());
                if is_empty(&delta) {
                    return None;
                }
                self.record.token();
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

    /// The next event, of whichever choice has one.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<(usize, Event), Error>> {
        if let Some(early) = self.early.pop_front() {
            return Poll::Ready(Ok(early));
        }
        self.choices
            .poll_next_unpin(context)
            .map(|next| match next {
                Some((choice, event)) => event.map(|event| (choice, event)),
                None => Err(truncated()),
            })
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
            // A reader that is slow has always something waiting, so who it is comes first.
            if let Poll::Ready(error) = this.lifetime.poll_caller_ended(context) {
                break Err(error);
            }
            // The engine comes next: what is there already is not lost to a deadline.
            match this.poll_event(context) {
                Poll::Ready(Ok((choice, event))) => match this.event(choice, event) {
                    Some(output) => break Ok(output),
                    None => continue,
                },
                Poll::Ready(Err(error)) => break Err(error),
                Poll::Pending => {}
            }
            if let Poll::Ready(error) = this.lifetime.poll_time_over(context) {
                break Err(error);
            }
            return Poll::Pending;
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

/// Whether nobody would miss it.
fn is_empty(delta: &Delta) -> bool {
    match &delta.piece {
        Piece::Text(text) | Piece::Reasoning(text) => text.is_empty() && delta.logprobs.is_empty(),
        Piece::ToolCall(_) => false,
    }
}

fn truncated() -> Error {
    Error::new(
        ErrorCode::WorkerFailed,
        "the worker stopped before the answer was complete",
    )
}

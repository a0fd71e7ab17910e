//! Workers whose tokens are those of a formula, and which fail as they are told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fathom_proto::inference::{
    Delta, EmbedRequest, Embeddings, Event, FinishReason, GenerateRequest, Inference, Piece,
    RequestContext, TokenIds, TokenStream, Usage,
};
use fathom_proto::{Error, ErrorCode};
use futures::{StreamExt, stream};
use tokio::time::sleep;

use crate::harness::Harness;

/// Tokens of every answer.
pub const LENGTH: u32 = 12;

/// Time to the first token, and between tokens.
pub const PACE: Duration = Duration::from_millis(10);

pub fn id(token: u32) -> u32 {
    token * 7 + 3
}

pub fn text(token: u32) -> String {
    format!("t{token} ")
}

/// A piece that no token stands for and that comes before all of them, as an echoed prompt.
pub const ECHO: &str = "say hello: ";

/// The whole answer.
pub fn whole() -> String {
    (0..LENGTH).map(text).collect()
}

/// How one attempt goes: so many tokens, and an end.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub tokens: u32,
    /// So many pieces of the next token come as well, without the last one.
    pub pieces: usize,
    pub end: End,
}

/// What an attempt ends with, if the answer is not complete before.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// Nothing is missing.
    Whole,
    /// An error in the stream.
    Break(ErrorCode),
    /// The stream is over without a word.
    Vanish,
    /// Nothing more comes.
    Silence,
    /// It is not begun.
    Refuse(ErrorCode),
    /// Nothing is said at all.
    Deaf,
}

/// Some workers and what they have seen.
#[derive(Default)]
pub struct Faulty {
    /// What the next attempts are like, on whichever worker; further ones give whole answers.
    pub plans: Mutex<VecDeque<Plan>>,
    /// How many tokens each attempt was to go on after.
    pub attempts: Mutex<Vec<usize>>,
    /// No attempt tells the ids of its tokens.
    pub tells_no_ids: bool,
    /// Every attempt that begins gives [`ECHO`] first.
    pub echoes: bool,
    pub running: Arc<()>,
}

impl Faulty {
    /// Three workers of `harness` that follow `plans`.
    pub fn start(harness: &Harness, plans: &[Plan]) -> Arc<Self> {
        let workers = Arc::new(Self {
            plans: Mutex::new(plans.iter().copied().collect()),
            ..Self::default()
        });
        workers.join(harness);
        workers
    }

    pub fn join(self: &Arc<Self>, harness: &Harness) {
        for worker in ["a", "b", "c"] {
            harness.add_inference(worker, Arc::new(Worker(self.clone())));
        }
    }

    pub fn attempts(&self) -> Vec<usize> {
        self.attempts.lock().unwrap().clone()
    }

    /// Attempts that are neither over nor dropped.
    pub fn running(&self) -> usize {
        Arc::strong_count(&self.running) - 1
    }

    /// The pieces of these tokens: of some of them several, of which the last one tells them.
    fn deltas(&self, from: u32, to: u32) -> Vec<Event> {
        let text: String = (from..to).map(text).collect();
        let pieces = match from % 2 {
            0 => vec![text],
            _ => text.split_inclusive('t').map(str::to_owned).collect(),
        };
        let ids = match self.tells_no_ids {
            true => TokenIds::new(),
            false => (from..to).map(id).collect(),
        };
        let last = pieces.len() - 1;
        let deltas = pieces.into_iter().enumerate();
        let deltas = deltas.map(|(at, piece)| match at == last {
            true => delta(piece, to - from, ids.clone()),
            false => delta(piece, 0, TokenIds::new()),
        });
        deltas.collect()
    }
}

fn delta(text: String, tokens: u32, ids: TokenIds) -> Event {
    Event::Delta(Delta {
        piece: Piece::Text(text),
        tokens,
        logprobs: Vec::new(),
        ids,
    })
}

/// One of them.
pub struct Worker(pub Arc<Faulty>);

#[tonic::async_trait]
impl Inference for Worker {
    async fn generate(
        &self,
        request: GenerateRequest,
        _: RequestContext,
    ) -> Result<TokenStream, Error> {
        let workers = &self.0;
        let counted = workers.running.clone();
        let given = u32::try_from(request.generated.len()).unwrap();
        let expected: Vec<u32> = (0..given).map(id).collect();
        assert_eq!(request.generated, expected, "what is gone on from");
        workers.attempts.lock().unwrap().push(given as usize);
        let plan = workers.plans.lock().unwrap().pop_front();
        let plan = plan.unwrap_or(Plan {
            tokens: LENGTH,
            pieces: 0,
            end: End::Whole,
        });
        match plan.end {
            End::Refuse(code) => return Err(Error::new(code, "refused")),
            End::Deaf => std::future::pending().await,
            _ => {}
        }
        let started = Event::Started {
            prompt_tokens: 2,
            cached_tokens: 0,
            fingerprint: None,
            route: None,
        };
        let mut events = vec![Ok(started)];
        if workers.echoes && given == 0 {
            events.push(Ok(delta(ECHO.to_owned(), 0, TokenIds::new())));
        }
        let until = LENGTH.min(given + plan.tokens);
        let mut from = given;
        while from < until {
            // Every third piece stands for two tokens.
            let to = until.min(from + 1 + u32::from(from % 3 == 2));
            events.extend(workers.deltas(from, to).into_iter().map(Ok));
            from = to;
        }
        let is_whole = matches!(plan.end, End::Whole) || until == LENGTH;
        if is_whole {
            if until < LENGTH {
                events.extend(workers.deltas(until, LENGTH).into_iter().map(Ok));
            }
            events.push(Ok(Event::Finished {
                reason: FinishReason::Stop,
                usage: Usage {
                    prompt_tokens: 2,
                    completion_tokens: LENGTH,
                    ..Usage::default()
                },
            }));
        } else {
            let mut next = workers.deltas(until, until + 1);
            next.pop();
            events.extend(next.into_iter().take(plan.pieces).map(Ok));
            if let End::Break(code) = plan.end {
                events.push(Err(Error::new(code, "broken")));
            }
        }
        let events = stream::iter(events).then(async |event| {
            sleep(PACE).await;
            event
        });
        let stream: TokenStream = match plan.end {
            End::Silence if !is_whole => Box::pin(events.chain(stream::pending())),
            _ => Box::pin(events),
        };
        Ok(Box::pin(stream.inspect(move |_| {
            let _counted = &counted;
        })))
    }

    async fn embed(&self, _: EmbedRequest, _: RequestContext) -> Result<Embeddings, Error> {
        Err(Error::new(ErrorCode::InvalidRequest, "no vectors"))
    }
}

/// Says a word each second and counts none.
pub struct Uncounted;

#[tonic::async_trait]
impl Inference for Uncounted {
    async fn generate(&self, _: GenerateRequest, _: RequestContext) -> Result<TokenStream, Error> {
        let started = Event::Started {
            prompt_tokens: 2,
            cached_tokens: 0,
            fingerprint: None,
            route: None,
        };
        let words = stream::repeat(()).then(async |()| {
            sleep(Duration::from_secs(1)).await;
            Ok(delta("word ".to_owned(), 0, TokenIds::new()))
        });
        Ok(Box::pin(stream::iter([Ok(started)]).chain(words)))
    }

    async fn embed(&self, _: EmbedRequest, _: RequestContext) -> Result<Embeddings, Error> {
        Err(Error::new(ErrorCode::InvalidRequest, "no vectors"))
    }
}

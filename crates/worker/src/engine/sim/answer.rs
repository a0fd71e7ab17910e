//! One simulated answer, word by word.

use std::time::Duration;
use std::vec;

use fathom_engine::{Scan, StopMatcher};
use fathom_proto::inference::{
    Delta, Event, FinishReason, GenerateRequest, Piece, TokenIds, TokenLogprob, TokenStream, Usage,
};
use futures::stream;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};

use crate::admission::Permit;
use crate::engine::sim::words::{Word, Words, echo};
use crate::{SimConfig, SimFault};

/// The longest delay that a fault adds; no caller waits for it.
const LATEST: Duration = Duration::from_secs(3600);

/// An answer that is being generated.
pub(super) struct Answer {
    words: Words,
    stops: StopMatcher,
    /// Tokens at which it ends, and why it does.
    end: (u32, FinishReason),
    /// Likeliest tokens to tell; `None`: nothing.
    alternatives: Option<u32>,
    /// Tokens that another worker has generated, as far as they are not read again.
    given: vec::IntoIter<u32>,
    /// Those of them that no event was made of here yet.
    told: usize,
    /// Tokens generated, and those of them that no event stands for yet.
    generated: u32,
    unsent: TokenIds,
    unsent_logprobs: Vec<TokenLogprob>,
    /// When the next word is due.
    due: Instant,
    inter_token: Duration,
    stage: Stage,
}

enum Stage {
    Start { echo: Option<Vec<String>> },
    Echo(Vec<String>),
    Words,
    Finish(FinishReason),
    Over,
}

impl Answer {
    /// An answer of at most `budget` tokens that begins now, slower by what `slow` says.
    pub fn new(
        config: &SimConfig,
        slow: Option<&SimFault>,
        words: Words,
        budget: u32,
        request: GenerateRequest,
    ) -> Self {
        let given = u32::try_from(request.generated.len()).unwrap_or(u32::MAX);
        let whole = config.tokens.saturating_sub(words.begun()).max(given);
        let end = if budget <= whole {
            (budget, FinishReason::Length)
        } else {
            (whole, FinishReason::Stop)
        };
        let late = |pace: Duration, by: fn(&SimFault) -> Duration| {
            slow.map_or(pace, |slow| pace.saturating_add(by(slow).min(LATEST)))
        };
        Self {
            words,
            stops: StopMatcher::new(request.stop),
            end,
            alternatives: request.logprobs,
            told: request.generated.len(),
            stage: Stage::Start {
                echo: (request.echo && given == 0).then(|| echo(&request.prompt)),
            },
            given: request.generated.into_iter(),
            generated: 0,
            unsent: TokenIds::new(),
            unsent_logprobs: Vec::new(),
            due: Instant::now() + late(config.ttft, |slow| slow.ttft),
            inter_token: late(config.inter_token, |slow| slow.inter_token),
        }
    }

    /// Its events. There is no task behind them: nothing is generated that nobody asks for.
    pub fn into_stream(self, permit: Permit) -> TokenStream {
        Box::pin(stream::unfold(
            (self, permit),
            |(mut answer, permit)| async move {
                let event = answer.event().await?;
                Some((Ok(event), (answer, permit)))
            },
        ))
    }

    async fn event(&mut self) -> Option<Event> {
        match std::mem::replace(&mut self.stage, Stage::Words) {
            Stage::Start { echo } => {
                self.stage = echo.map_or(Stage::Words, Stage::Echo);
                Some(Event::Started {
                    prompt_tokens: self.words.prompt_tokens(),
                    cached_tokens: 0,
                    fingerprint: None,
                    route: None,
                })
            }
            Stage::Echo(prompt) => Some(self.echoed(&prompt)),
            Stage::Words => Some(
                self.delta()
                    .await
                    .unwrap_or_else(|reason| self.finish(reason)),
            ),
            Stage::Finish(reason) => Some(self.finish(reason)),
            Stage::Over => {
                self.stage = Stage::Over;
                None
            }
        }
    }

    /// The prompt, of whose tokens each but the first is as probable as the next.
    fn echoed(&self, prompt: &[String]) -> Event {
        let logprobs = prompt.iter().enumerate().map(|(i, token)| TokenLogprob {
            token: token.clone().into_bytes(),
            logprob: (i > 0).then_some(-1.0),
            top: Vec::new(),
        });
        Event::Delta(Delta {
            piece: Piece::Text(prompt.concat()),
            tokens: 0,
            logprobs: self
                .alternatives
                .map_or_else(Vec::new, |_| logprobs.collect()),
            ids: TokenIds::new(),
        })
    }

    /// The next text that can be sent and was not told; the reason to finish when there is none.
    async fn delta(&mut self) -> Result<Event, FinishReason> {
        while self.generated < self.end.0 {
            let word = match self.given.next().and_then(|id| self.words.replay(id)) {
                Some(word) => word,
                None => self.draw().await,
            };
            self.generated += 1;
            self.unsent.push(word.id());
            let text = match self.stops.push(&word.text) {
                Scan::Open(text) => text,
                Scan::Stopped(text) => {
                    let index = self.stops.stopped_by().unwrap_or_default();
                    self.stage = Stage::Finish(FinishReason::stop_text(index));
                    return self.send(text).ok_or(FinishReason::stop_text(index));
                }
            };
            if let Some(event) = self.send(text) {
                return Ok(event);
            }
        }
        self.stage = Stage::Finish(self.end.1.clone());
        let held = self.stops.finish();
        self.send(held).ok_or(self.end.1.clone())
    }

    fn send(&mut self, text: String) -> Option<Event> {
        if text.is_empty() {
            return None;
        }
        let mut ids = std::mem::take(&mut self.unsent);
        let told = ids.len().min(self.told);
        self.told -= told;
        if told > 0 && told == ids.len() {
            return None;
        }
        ids.drain(..told);
        Some(Event::Delta(Delta {
            piece: Piece::Text(text),
            tokens: ids.len() as u32,
            logprobs: std::mem::take(&mut self.unsent_logprobs),
            ids,
        }))
    }

    /// The next word, when it is due.
    async fn draw(&mut self) -> Word {
        self.wait().await;
        let word = self.words.next();
        let logprob = self.alternatives.map(|top| word.logprob(top));
        self.unsent_logprobs.extend(logprob);
        word
    }

    fn finish(&mut self, reason: FinishReason) -> Event {
        self.stage = Stage::Over;
        let prompt_tokens = self.words.prompt_tokens();
        Event::Finished {
            reason,
            usage: Usage {
                prompt_tokens,
                completion_tokens: self.generated,
                ..Usage::default()
            },
        }
    }

    /// Waits until the next word is due. Without a pace a long answer is always ready, and must
    /// let others run all the same.
    async fn wait(&mut self) {
        if self.due > Instant::now() {
            sleep_until(self.due).await;
        } else {
            consume_budget().await;
        }
        self.due += self.inter_token;
    }
}

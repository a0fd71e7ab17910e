//! One simulated answer, word by word.

use std::time::Duration;

use fathom_engine::{Scan, StopMatcher};
use fathom_proto::inference::{Event, FinishReason, TokenStream, Usage};
use futures::stream;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};

use crate::SimConfig;
use crate::admission::Permit;
use crate::engine::sim::words::Words;

/// An answer that is being generated.
pub(super) struct Answer {
    words: Words,
    stops: StopMatcher,
    /// Tokens at which it ends, and why it does.
    end: (u32, FinishReason),
    /// Tokens generated, and those of them that no event stands for yet.
    generated: u32,
    unsent: u32,
    /// When the next word is due.
    due: Instant,
    inter_token: Duration,
    stage: Stage,
}

enum Stage {
    Start,
    Words,
    Finish(FinishReason),
    Over,
}

impl Answer {
    /// An answer of at most `budget` tokens that begins now.
    pub fn new(config: &SimConfig, words: Words, budget: u32, stop: Vec<String>) -> Self {
        let end = if budget <= config.tokens {
            (budget, FinishReason::Length)
        } else {
            (config.tokens, FinishReason::Stop)
        };
        Self {
            words,
            stops: StopMatcher::new(stop),
            end,
            generated: 0,
            unsent: 0,
            due: Instant::now() + config.ttft,
            inter_token: config.inter_token,
            stage: Stage::Start,
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
        match self.stage {
            Stage::Start => {
                self.stage = Stage::Words;
                Some(Event::Started {
                    prompt_tokens: self.words.prompt_tokens(),
                })
            }
            Stage::Words => Some(
                self.delta()
                    .await
                    .unwrap_or_else(|reason| self.finish(reason)),
            ),
            Stage::Finish(reason) => Some(self.finish(reason)),
            Stage::Over => None,
        }
    }

    /// The next text that can be sent; the reason to finish when there is none.
    async fn delta(&mut self) -> Result<Event, FinishReason> {
        while self.generated < self.end.0 {
            self.wait().await;
            let word = self.words.next().unwrap_or_default();
            self.generated += 1;
            self.unsent += 1;
            let text = match self.stops.push(&word) {
                Scan::Open(text) => text,
                Scan::Stopped(text) => {
                    self.stage = Stage::Finish(FinishReason::Stop);
                    return self.send(text).ok_or(FinishReason::Stop);
                }
            };
            if let Some(event) = self.send(text) {
                return Ok(event);
            }
        }
        self.stage = Stage::Finish(self.end.1);
        let held = self.stops.finish();
        self.send(held).ok_or(self.end.1)
    }

    fn send(&mut self, text: String) -> Option<Event> {
        if text.is_empty() {
            return None;
        }
        Some(Event::Delta {
            text,
            tokens: std::mem::take(&mut self.unsent),
        })
    }

    fn finish(&mut self, reason: FinishReason) -> Event {
        self.stage = Stage::Over;
        let prompt_tokens = self.words.prompt_tokens();
        Event::Finished {
            reason,
            usage: Usage {
                prompt_tokens,
                completion_tokens: self.generated,
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

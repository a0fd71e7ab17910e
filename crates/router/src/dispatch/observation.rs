//! How a request goes, told once when it is over.

use std::sync::Arc;
use std::time::Duration;

use fathom_proto::inference::Event;
use fathom_proto::{Error as PublicError, ErrorCode};
use tokio::time::Instant;

use crate::choice::{Choice, Observed};
use crate::models::Models;
use crate::outcome::Outcome;

/// A request that runs; however it ends, the models are told when this is dropped.
pub(super) struct Observation {
    models: Arc<Models>,
    /// What it is answered with.
    pub choice: Choice,
    began: Instant,
    first_token: Option<Duration>,
    tokens: u32,
    outcome: Outcome,
}

impl Observation {
    pub fn new(models: &Arc<Models>, choice: Choice) -> Self {
        Self {
            models: models.clone(),
            choice,
            began: Instant::now(),
            first_token: None,
            tokens: 0,
            // Whoever drops it without a word is a caller that went away.
            outcome: Outcome::Dropped,
        }
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Started { .. } => {}
            Event::Delta(delta) => {
                self.tokens = self.tokens.saturating_add(delta.tokens);
                if self.first_token.is_none() {
                    self.first_token = Some(self.began.elapsed());
                }
            }
            Event::Finished { usage, .. } => {
                self.tokens = usage.completion_tokens;
                self.outcome = Outcome::Finished;
            }
        }
    }

    /// No worker of what it was to be answered with can be asked, and something else answers.
    pub fn fell_back(&mut self, to: Choice) {
        let from = std::mem::replace(&mut self.choice, to);
        let observed = Observed {
            outcome: Outcome::Failed(ErrorCode::Unavailable),
            first_token: None,
            duration: self.began.elapsed(),
            tokens: 0,
        };
        self.models.observe(&from, observed);
    }

    pub fn finished(&mut self) {
        self.outcome = Outcome::Finished;
    }

    pub fn failed(&mut self, error: &PublicError) {
        self.outcome = Outcome::Failed(error.code);
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let observed = Observed {
            outcome: self.outcome,
            first_token: self.first_token,
            duration: self.began.elapsed(),
            tokens: self.tokens,
        };
        self.models.observe(&self.choice, observed);
    }
}

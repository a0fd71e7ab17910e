//! Token counts of answers whose server gives none.

use std::path::Path;

use ::metrics::{Counter, counter};
use fathom_engine::{ChatMessage, Weights};
use fathom_proto::inference::{Prompt, Usage};
use tokio::task::spawn_blocking;

use crate::{Error, metrics};

/// Bytes that a token stands for where nothing better is known.
pub(super) const BYTES_PER_TOKEN: usize = 4;

/// How tokens are counted.
pub(super) struct Count {
    tokenizer: Option<Weights>,
    estimated: Counter,
}

/// What is needed to count the tokens of one request.
#[derive(Clone)]
pub(super) struct Counting {
    tokenizer: Option<(Weights, Prompt)>,
    /// Bytes of the prompt.
    prompt_bytes: usize,
    estimated: Counter,
}

impl Count {
    /// Loads the tokenizer, if there is one, and blocks for it.
    pub fn new(engine: &str, serves: &[String], tokenizer: Option<&Path>) -> Result<Self, Error> {
        let tokenizer = tokenizer.map(Weights::load).transpose();
        Ok(Self {
            tokenizer: tokenizer.map_err(|source| Error::Load {
                serves: serves.join(", "),
                source,
            })?,
            estimated: counter!(metrics::USAGE_ESTIMATED_TOTAL, "engine" => engine.to_owned()),
        })
    }

    /// Keeps of the prompt what counting needs.
    pub fn of(&self, prompt: Prompt) -> Counting {
        Counting {
            prompt_bytes: bytes(&prompt),
            tokenizer: self.tokenizer.clone().map(|weights| (weights, prompt)),
            estimated: self.estimated.clone(),
        }
    }
}

impl Counting {
    /// Whether the generated text is needed.
    pub const fn wants_text(&self) -> bool {
        self.tokenizer.is_some()
    }

    /// The counts of an answer of which `deltas` pieces came, which are `text` together.
    pub async fn usage(self, deltas: u32, text: Option<String>) -> Usage {
        let Self {
            tokenizer,
            prompt_bytes,
            estimated,
        } = self;
        if let (Some((weights, prompt)), Some(text)) = (tokenizer, text) {
            let counted = spawn_blocking(move || counted(&weights, prompt, &text));
            if let Ok(Some(usage)) = counted.await {
                return usage;
            }
        }
        estimated.increment(1);
        Usage {
            prompt_tokens: saturated(prompt_bytes.div_ceil(BYTES_PER_TOKEN)),
            completion_tokens: deltas,
            ..Usage::default()
        }
    }
}

/// `None` for a prompt that the tokenizer's model does not take. Blocks for milliseconds.
fn counted(weights: &Weights, prompt: Prompt, text: &str) -> Option<Usage> {
    let tokens = |text: &str| Some(weights.tokenize(text).ok()?.len());
    let prompt_tokens = match prompt {
        Prompt::Text(text) => tokens(&text)?,
        Prompt::Tokens(tokens) => tokens.len(),
        Prompt::Infill { before, after } => tokens(&before)? + tokens(&after)?,
        Prompt::Chat(turns) => {
            let turns = turns
                .into_iter()
                .map(|turn| ChatMessage::new(turn.role.as_str(), turn.content));
            weights
                .render_chat(&turns.collect::<Vec<_>>(), &[])
                .ok()?
                .len()
        }
    };
    // The token that a text begins with is none that was generated.
    let completion_tokens = tokens(text)?.saturating_sub(tokens("")?);
    Some(Usage {
        prompt_tokens: saturated(prompt_tokens),
        completion_tokens: saturated(completion_tokens),
        ..Usage::default()
    })
}

fn bytes(prompt: &Prompt) -> usize {
    match prompt {
        Prompt::Text(text) => text.len(),
        Prompt::Tokens(tokens) => tokens.len().saturating_mul(BYTES_PER_TOKEN),
        Prompt::Infill { before, after } => before.len() + after.len(),
        Prompt::Chat(turns) => turns.iter().map(|turn| turn.content.len()).sum(),
    }
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

//! How probable tokens were, in the form of chats and in that of completions.

use std::collections::BTreeMap;

use fathom_proto::inference::{Alternative, TokenLogprob};
use serde::Deserialize;

/// Both forms; the fields of the other one are absent.
#[derive(Deserialize)]
pub(super) struct Logprobs {
    #[serde(default)]
    content: Option<Vec<Token>>,
    #[serde(default)]
    reasoning_content: Option<Vec<Token>>,
    #[serde(default)]
    tokens: Option<Vec<String>>,
    #[serde(default)]
    token_logprobs: Option<Vec<Option<f32>>>,
    #[serde(default)]
    top_logprobs: Option<Vec<Option<BTreeMap<String, f32>>>>,
}

/// A token in the form of chats.
#[derive(Deserialize)]
struct Token {
    token: String,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
    #[serde(default)]
    logprob: Option<f32>,
    #[serde(default)]
    top_logprobs: Option<Vec<Token>>,
}

/// Of what is said, or of what is thought.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Answer,
    Reasoning,
}

impl Logprobs {
    /// The tokens; taken out, so that each is told once.
    pub fn take(&mut self, of: Of) -> Vec<TokenLogprob> {
        let chat = match of {
            Of::Answer => &mut self.content,
            Of::Reasoning => &mut self.reasoning_content,
        };
        if let Some(tokens) = chat.take() {
            return tokens.into_iter().map(TokenLogprob::from).collect();
        }
        match of {
            Of::Answer => self.completion(),
            Of::Reasoning => Vec::new(),
        }
    }

    fn completion(&mut self) -> Vec<TokenLogprob> {
        let tokens = self.tokens.take().unwrap_or_default();
        let mut logprobs = self.token_logprobs.take().unwrap_or_default().into_iter();
        let mut tops = self.top_logprobs.take().unwrap_or_default().into_iter();
        let tokens = tokens.into_iter().map(|token| {
            let top = tops.next().flatten().unwrap_or_default();
            let mut top: Vec<_> = top
                .into_iter()
                .map(|(token, logprob)| Alternative {
                    token: token.into_bytes(),
                    logprob,
                })
                .collect();
            top.sort_by(|a, b| b.logprob.total_cmp(&a.logprob));
            TokenLogprob {
                token: token.into_bytes(),
                logprob: logprobs.next().flatten(),
                top,
            }
        });
        tokens.collect()
    }
}

impl Token {
    /// Its own bytes if the server tells them: its text need not be whole characters.
    fn into_bytes(self) -> Vec<u8> {
        self.bytes.unwrap_or_else(|| self.token.into_bytes())
    }
}

impl From<Token> for TokenLogprob {
    fn from(mut token: Token) -> Self {
        let top = token.top_logprobs.take().unwrap_or_default();
        let top = top.into_iter().map(|token| Alternative {
            logprob: token.logprob.unwrap_or(f32::MIN),
            token: token.into_bytes(),
        });
        Self {
            top: top.collect(),
            logprob: token.logprob,
            token: token.into_bytes(),
        }
    }
}

//! Probabilities of tokens, in the two forms that the endpoints have.

use std::fmt::Write;

use fathom_api::logprobs::{ChatLogprobs, CompletionLogprobs, TokenLogprob, TopLogprob};
use fathom_proto::inference;

/// What stands for tokens that cannot come, as at OpenAI; JSON has no infinity.
const IMPOSSIBLE: f32 = -9999.0;

/// Those of what a chat's answer says, and of what the model thought before it.
pub fn of_chat(
    text: Option<Vec<inference::TokenLogprob>>,
    reasoning: Option<Vec<inference::TokenLogprob>>,
) -> ChatLogprobs {
    let list = |tokens: Vec<_>| tokens.into_iter().map(chat_token).collect();
    ChatLogprobs {
        content: text.map(list),
        reasoning_content: reasoning.map(list),
        refusal: None,
    }
}

/// Those of what an answer says, on their own.
pub fn of_text(text: Vec<inference::TokenLogprob>) -> Vec<TokenLogprob> {
    text.into_iter().map(chat_token).collect()
}

fn chat_token(token: inference::TokenLogprob) -> TokenLogprob {
    let top = token.top.into_iter().map(|other| TopLogprob {
        token: lossy(&other.token),
        logprob: finite(other.logprob),
        bytes: Some(other.token),
    });
    TokenLogprob {
        token: lossy(&token.token),
        logprob: finite(token.logprob.unwrap_or(0.0)),
        top_logprobs: top.collect(),
        bytes: Some(token.token),
    }
}

fn lossy(token: &[u8]) -> String {
    String::from_utf8_lossy(token).into_owned()
}

/// Those of a completion; `offset` is where the first of them begins in the text, in characters,
/// and then where the next one does.
pub fn of_completion(tokens: Vec<inference::TokenLogprob>, offset: &mut u32) -> CompletionLogprobs {
    let mut lists = CompletionLogprobs::default();
    for token in tokens {
        lists.text_offset.push(*offset);
        *offset = offset.saturating_add(characters(&token.token));
        lists.tokens.push(escaped(&token.token));
        lists.token_logprobs.push(token.logprob.map(finite));
        // A token with nothing before it has no others that might have come.
        lists.top_logprobs.push(token.logprob.map(|_| {
            let top = token.top.iter();
            top.map(|other| (escaped(&other.token), finite(other.logprob)))
                .collect()
        }));
    }
    lists
}

/// Characters that begin in the token; the bytes of one may be spread over several tokens.
fn characters(token: &[u8]) -> u32 {
    let begins = |byte: &&u8| **byte & 0b1100_0000 != 0b1000_0000;
    u32::try_from(token.iter().filter(begins).count()).unwrap_or(u32::MAX)
}

/// The token's text, or its bytes as OpenAI spells them: texts are keys here, so that two tokens
/// must not have the same one.
fn escaped(token: &[u8]) -> String {
    match str::from_utf8(token) {
        Ok(text) => text.to_owned(),
        Err(_) => token.iter().fold("bytes:".to_owned(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
            text
        }),
    }
}

/// NaN is taken for impossible too.
fn finite(logprob: f32) -> f32 {
    logprob.max(IMPOSSIBLE)
}

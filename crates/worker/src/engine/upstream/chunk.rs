//! What another server sends: the fields of OpenAI's answers that matter here, read tolerantly.
//! Every other field is skipped, each may be absent or `null`, and an event of a stream and a
//! whole answer are one type.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use fathom_proto::inference::{FinishReason, Usage as Counts};
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::logprobs::Logprobs;
use super::refusal::Said;

/// An event of a stream, or a whole answer.
#[derive(serde::Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub system_fingerprint: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub choices: Option<First<Choice<'a>>>,
    #[serde(default)]
    pub usage: Option<Usage>,
    #[serde(default)]
    pub error: Option<Said>,
}

/// The first element of a list: nobody asks for more than one.
pub(super) struct First<T>(pub Option<T>);

/// The answer, or a piece of it.
#[derive(serde::Deserialize)]
pub(super) struct Choice<'a> {
    /// A piece of a chat's answer.
    #[serde(default)]
    pub delta: Option<Message>,
    /// A chat's whole answer.
    #[serde(default)]
    pub message: Option<Message>,
    /// Of a completion.
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default)]
    pub logprobs: Option<Logprobs>,
    #[serde(borrow, default)]
    pub finish_reason: Option<Text<'a>>,
}

/// The model's turn. Its texts are read into strings of their own, which is the one copy that
/// each token costs.
#[derive(Default, serde::Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub content: Option<String>,
    #[serde(default)]
    pub reasoning_content: Option<String>,
    /// The same in vLLM's words; a server that sends both sends one text twice.
    #[serde(default)]
    pub reasoning: Option<String>,
    #[serde(default)]
    pub tool_calls: Option<Vec<ToolCall>>,
}

/// A function call, or a part of one.
#[derive(serde::Deserialize)]
pub(super) struct ToolCall {
    #[serde(default)]
    pub index: Option<u32>,
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub function: Option<Function>,
}

/// What is called.
#[derive(Default, serde::Deserialize)]
pub(super) struct Function {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub arguments: Option<String>,
}

/// Token counts, in DeepSeek's words and in OpenAI's.
#[derive(serde::Deserialize)]
pub(super) struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u32>,
    #[serde(default)]
    completion_tokens: Option<u32>,
    #[serde(default)]
    prompt_cache_hit_tokens: Option<u32>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(serde::Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u32>,
}

#[derive(serde::Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u32>,
}

/// A text that is looked at and mostly not kept.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Usage {
    /// The counts; `None` if the server does not count, and only says so in more words.
    pub fn counts(&self) -> Option<Counts> {
        let details = self.prompt_tokens_details.as_ref();
        let cached = details.and_then(|details| details.cached_tokens);
        let thought = self.completion_tokens_details.as_ref();
        Some(Counts {
            prompt_tokens: self.prompt_tokens?,
            completion_tokens: self.completion_tokens.unwrap_or_default(),
            cached_tokens: self.prompt_cache_hit_tokens.or(cached).unwrap_or_default(),
            reasoning_tokens: thought
                .and_then(|thought| thought.reasoning_tokens)
                .unwrap_or_default(),
        })
    }
}

impl Text<'_> {
    /// Why the answer ended, if this says that it did.
    pub fn finish_reason(self) -> Option<FinishReason> {
        Some(match &*self.0 {
            "" => return None,
            "stop" => FinishReason::Stop,
            "length" => FinishReason::Length,
            "tool_calls" => FinishReason::ToolCalls,
            "content_filter" => FinishReason::ContentFilter,
            "insufficient_system_resource" => FinishReason::InsufficientSystemResource,
            _ => FinishReason::Other(self.0.into_owned()),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = First<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<First<T>, A::Error> {
                let first = list.next_element()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first))
            }
        }

        deserializer.deserialize_seq(List(PhantomData))
    }
}

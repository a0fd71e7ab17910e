//! Events of a stream: `response.created`, `response.in_progress`; for each item
//! `response.output_item.added`, what is new of it, and `response.output_item.done`; at the end
//! `response.completed`, `response.incomplete` or `response.failed`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Item, Part, Response};
use crate::logprobs::TokenLogprob;

/// An event with its place in the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ResponsesNumberedEvent")]
pub struct Numbered<'a> {
    /// What happened.
    #[serde(flatten)]
    pub event: Event<'a>,
    /// From 0.
    pub sequence_number: u64,
}

/// One event; its name is its `type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
#[schemars(rename = "ResponsesEvent")]
pub enum Event<'a> {
    /// The first event.
    #[serde(rename = "response.created")]
    Created {
        /// The answer, with nothing in it yet.
        response: Cow<'a, Response>,
    },
    /// The second event.
    #[serde(rename = "response.in_progress")]
    InProgress {
        /// The answer, with nothing in it yet.
        response: Cow<'a, Response>,
    },
    /// An item begins.
    #[serde(rename = "response.output_item.added")]
    ItemAdded {
        /// Its place in the output.
        output_index: u32,
        /// The item, with nothing in it yet.
        item: Cow<'a, Item>,
    },
    /// An item is complete.
    #[serde(rename = "response.output_item.done")]
    ItemDone {
        /// Its place in the output.
        output_index: u32,
        /// All of it.
        item: Cow<'a, Item>,
    },
    /// A part of a message, or of thoughts, begins.
    #[serde(rename = "response.content_part.added")]
    PartAdded(At<'a, PartOf<'a>>),
    /// It is complete.
    #[serde(rename = "response.content_part.done")]
    PartDone(At<'a, PartOf<'a>>),
    /// A text goes on.
    #[serde(rename = "response.output_text.delta")]
    TextDelta(At<'a, TextDelta<'a>>),
    /// A text is complete.
    #[serde(rename = "response.output_text.done")]
    TextDone(At<'a, TextDone<'a>>),
    /// A thought goes on.
    #[serde(rename = "response.reasoning_text.delta")]
    ReasoningDelta(At<'a, PlainDelta<'a>>),
    /// A thought is complete.
    #[serde(rename = "response.reasoning_text.done")]
    ReasoningDone(At<'a, PlainDone<'a>>),
    /// A part of a summary begins.
    #[serde(rename = "response.reasoning_summary_part.added")]
    SummaryAdded(SummaryAt<'a, PartOf<'a>>),
    /// It is complete.
    #[serde(rename = "response.reasoning_summary_part.done")]
    SummaryDone(SummaryAt<'a, PartOf<'a>>),
    /// A summary goes on.
    #[serde(rename = "response.reasoning_summary_text.delta")]
    SummaryDelta(SummaryAt<'a, PlainDelta<'a>>),
    /// A summary is complete.
    #[serde(rename = "response.reasoning_summary_text.done")]
    SummaryTextDone(SummaryAt<'a, PlainDone<'a>>),
    /// The arguments of a call go on.
    #[serde(rename = "response.function_call_arguments.delta")]
    ArgumentsDelta {
        /// Which item.
        item_id: Cow<'a, str>,
        /// Its place in the output.
        output_index: u32,
        /// The next piece of them.
        delta: Cow<'a, str>,
    },
    /// The arguments of a call are complete.
    #[serde(rename = "response.function_call_arguments.done")]
    ArgumentsDone {
        /// Which item.
        item_id: Cow<'a, str>,
        /// Its place in the output.
        output_index: u32,
        /// Name of the function.
        name: Cow<'a, str>,
        /// All of them.
        arguments: Cow<'a, str>,
    },
    /// The last event of an answer that is whole.
    #[serde(rename = "response.completed")]
    Completed {
        /// All of it.
        response: Cow<'a, Response>,
    },
    /// The last event of an answer that ended early.
    #[serde(rename = "response.incomplete")]
    Incomplete {
        /// All of it.
        response: Cow<'a, Response>,
    },
    /// The last event of an answer that broke.
    #[serde(rename = "response.failed")]
    Failed {
        /// What there is of it, and why.
        response: Cow<'a, Response>,
    },
}

impl Event<'_> {
    /// The name of the event, which is its `type`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "response.created",
            Self::InProgress { .. } => "response.in_progress",
            Self::ItemAdded { .. } => "response.output_item.added",
            Self::ItemDone { .. } => "response.output_item.done",
            Self::PartAdded(_) => "response.content_part.added",
            Self::PartDone(_) => "response.content_part.done",
            Self::TextDelta(_) => "response.output_text.delta",
            Self::TextDone(_) => "response.output_text.done",
            Self::ReasoningDelta(_) => "response.reasoning_text.delta",
            Self::ReasoningDone(_) => "response.reasoning_text.done",
            Self::SummaryAdded(_) => "response.reasoning_summary_part.added",
            Self::SummaryDone(_) => "response.reasoning_summary_part.done",
            Self::SummaryDelta(_) => "response.reasoning_summary_text.delta",
            Self::SummaryTextDone(_) => "response.reasoning_summary_text.done",
            Self::ArgumentsDelta { .. } => "response.function_call_arguments.delta",
            Self::ArgumentsDone { .. } => "response.function_call_arguments.done",
            Self::Completed { .. } => "response.completed",
            Self::Incomplete { .. } => "response.incomplete",
            Self::Failed { .. } => "response.failed",
        }
    }
}

/// Something of a part of an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Responses{T}")]
pub struct At<'a, T> {
    /// Which item.
    pub item_id: Cow<'a, str>,
    /// Its place in the output.
    pub output_index: u32,
    /// Which part of it.
    pub content_index: u32,
    /// What is told of the part.
    #[serde(flatten)]
    pub told: T,
}

/// Something of a part of a summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ResponsesSummary{T}")]
pub struct SummaryAt<'a, T> {
    /// Which item.
    pub item_id: Cow<'a, str>,
    /// Its place in the output.
    pub output_index: u32,
    /// Which part of its summary.
    pub summary_index: u32,
    /// What is told of the part.
    #[serde(flatten)]
    pub told: T,
}

/// All of a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartOf<'a> {
    /// The part.
    pub part: Cow<'a, Part>,
}

/// What is new of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TextDelta<'a> {
    /// The next piece of it.
    pub delta: Cow<'a, str>,
    /// How probable its tokens were, if asked for.
    pub logprobs: Cow<'a, [TokenLogprob]>,
}

/// All of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TextDone<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// How probable its tokens were, if asked for.
    pub logprobs: Cow<'a, [TokenLogprob]>,
}

/// What is new of thoughts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlainDelta<'a> {
    /// The next piece of them.
    pub delta: Cow<'a, str>,
}

/// All of a thought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlainDone<'a> {
    /// The text.
    pub text: Cow<'a, str>,
}

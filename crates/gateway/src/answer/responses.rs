//! In the words of OpenAI's Responses.

use fathom_api::responses::{
    IncompleteDetails, InputTokensDetails, Item, OutputTokensDetails, Part, Response, Status, Usage,
};
use fathom_proto::inference::{self, FinishReason, TokenLogprob, ToolCall};
use fathom_proto::{Error, ErrorCode};

use super::logprobs;

/// Ends an answer.
///
/// # Errors
/// An end for which there is no word, since the answer is not complete.
pub fn end(
    response: &mut Response,
    reason: FinishReason,
    counts: inference::Usage,
) -> Result<(), Error> {
    let incomplete = match reason {
        FinishReason::Stop | FinishReason::StopText(_) | FinishReason::ToolCalls => None,
        FinishReason::Length => Some("max_output_tokens".into()),
        FinishReason::ContentFilter => Some("content_filter".into()),
        FinishReason::Other(word) => Some(word.into()),
        FinishReason::InsufficientSystemResource => {
            return Err(Error::new(
                ErrorCode::Overloaded,
                "the model's server ran out of capacity before the answer was complete",
            ));
        }
    };
    response.status = match incomplete {
        None => Status::Completed,
        Some(_) => Status::Incomplete,
    };
    response.incomplete_details = incomplete.map(|reason| IncompleteDetails { reason });
    response.usage = Some(usage(counts));
    Ok(())
}

fn usage(usage: inference::Usage) -> Usage {
    Usage {
        input_tokens: usage.prompt_tokens,
        input_tokens_details: InputTokensDetails {
            cached_tokens: usage.cached_tokens,
            cache_write_tokens: 0,
        },
        output_tokens: usage.completion_tokens,
        output_tokens_details: OutputTokensDetails {
            reasoning_tokens: usage.reasoning_tokens,
        },
        total_tokens: usage.prompt_tokens.saturating_add(usage.completion_tokens),
    }
}

/// What the model thinks, with nothing in it yet.
pub fn thought(id: String) -> Item {
    Item::Reasoning {
        id,
        summary: Vec::new(),
        content: Vec::new(),
        encrypted_content: None,
        status: Status::InProgress,
    }
}

/// What it says, with nothing in it yet.
pub fn message(id: String) -> Item {
    Item::Message {
        id,
        status: Status::InProgress,
        role: "assistant".into(),
        content: Vec::new(),
    }
}

/// A function that it calls.
pub fn call(id: String, call: ToolCall) -> Item {
    Item::FunctionCall {
        id,
        call_id: call.id,
        name: call.name,
        arguments: call.arguments,
        status: Status::InProgress,
    }
}

/// The part of a thought.
pub fn thought_part(text: String, is_summary: bool) -> Part {
    match is_summary {
        true => Part::SummaryText { text },
        false => Part::ReasoningText { text },
    }
}

/// The part of a message.
pub fn text_part(text: String, logprobs: Vec<TokenLogprob>) -> Part {
    Part::OutputText {
        text,
        annotations: Vec::new(),
        logprobs: logprobs::of_text(logprobs),
    }
}

/// Puts a part into an item.
pub fn put(item: &mut Item, part: Part) {
    match (item, &part) {
        (Item::Reasoning { summary, .. }, Part::SummaryText { .. }) => summary.push(part),
        (Item::Reasoning { content, .. } | Item::Message { content, .. }, _) => content.push(part),
        (Item::FunctionCall { .. }, _) => {}
    }
}

/// Says how far an item is.
pub fn set_status(item: &mut Item, now: Status) {
    match item {
        Item::Reasoning { status, .. }
        | Item::Message { status, .. }
        | Item::FunctionCall { status, .. } => *status = now,
    }
}

/// The name of an item of a request's answer.
pub fn item_id(kind: &str, request_id: &str, index: usize) -> String {
    format!("{kind}_{request_id}_{index}")
}

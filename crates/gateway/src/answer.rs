//! What a generation yields, in the words of the public API.

pub mod logprobs;
pub mod messages;
mod noise;
pub mod responses;

use fathom_api::tools::{FunctionCall, FunctionDelta, ToolCall, ToolCallDelta};
use fathom_api::usage::{FinishReason, Usage};
use fathom_proto::inference;

pub use noise::obfuscation;

/// The public name of the reason.
pub fn finish_reason(reason: inference::FinishReason) -> FinishReason {
    use inference::FinishReason as Reason;
    match reason {
        Reason::Stop | Reason::StopText(_) => FinishReason::Stop,
        Reason::Length => FinishReason::Length,
        Reason::ToolCalls => FinishReason::ToolCalls,
        Reason::ContentFilter => FinishReason::ContentFilter,
        Reason::InsufficientSystemResource => FinishReason::InsufficientSystemResource,
        Reason::Other(word) => FinishReason::Other(word),
    }
}

/// The public form of the counts.
pub fn usage(usage: inference::Usage) -> Usage {
    Usage::new(
        usage.prompt_tokens,
        usage.cached_tokens,
        usage.completion_tokens,
        usage.reasoning_tokens,
    )
}

/// The calls of a whole answer; none if there are none.
pub fn tool_calls(calls: Vec<(u32, inference::ToolCall)>) -> Option<Vec<ToolCall>> {
    let calls = calls.into_iter().map(|(_, call)| ToolCall {
        id: call.id,
        kind: FUNCTION.to_owned(),
        function: FunctionCall {
            name: call.name,
            arguments: call.arguments,
        },
    });
    Some(calls.collect()).filter(|calls: &Vec<_>| !calls.is_empty())
}

/// A part of a call, in a stream.
pub fn tool_call_delta(piece: inference::ToolCallPiece) -> ToolCallDelta {
    ToolCallDelta {
        index: piece.index,
        // The kind comes with the id, in the first part.
        kind: piece.id.is_some().then(|| FUNCTION.to_owned()),
        id: piece.id,
        function: FunctionDelta {
            name: piece.name,
            arguments: piece.arguments,
        },
    }
}

/// The index of a choice; there are never more than a few.
pub fn choice_index(choice: usize) -> u32 {
    u32::try_from(choice).unwrap_or(u32::MAX)
}

const FUNCTION: &str = "function";

/// Why a stream ends in which a call goes on after the next one has begun: where what has begun is
/// ended before the next begins, there is no form for it.
pub const MIXED_CALLS: &str =
    "the model's server tells several calls at a time; ask again without `stream`";

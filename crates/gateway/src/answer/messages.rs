//! In Anthropic's words.

use std::borrow::Cow;

use fathom_api::messages::{OutputTokensDetails, Usage};
use fathom_proto::inference::{self, FinishReason};
use fathom_proto::{Error, ErrorCode};

/// Why it ended, and the one of the texts `stops` that ended it.
///
/// # Errors
/// An end for which there is no word, since the answer is not complete.
pub fn stop(
    reason: FinishReason,
    stops: &[String],
) -> Result<(Cow<'static, str>, Option<&String>), Error> {
    let word = match reason {
        FinishReason::StopText(index) => {
            return Ok(("stop_sequence".into(), stops.get(index as usize)));
        }
        FinishReason::Stop => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
        FinishReason::InsufficientSystemResource => {
            return Err(Error::new(
                ErrorCode::Overloaded,
                "the model's server ran out of capacity before the answer was complete",
            ));
        }
        FinishReason::Other(word) => return Ok((word.into(), None)),
    };
    Ok((word.into(), None))
}

/// The counts. What was computed before is no part of `input_tokens`.
pub fn usage(usage: inference::Usage) -> Usage {
    Usage {
        input_tokens: usage.prompt_tokens.saturating_sub(usage.cached_tokens),
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: usage.cached_tokens,
        output_tokens: usage.completion_tokens,
        output_tokens_details: OutputTokensDetails {
            thinking_tokens: usage.reasoning_tokens,
        },
    }
}

//! How many parts a caller's message may have. Two bytes on the wire are an empty turn, which takes
//! hundreds in memory, so they are counted before any of them is made.

use prost::Name;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::{Error, ErrorCode};

/// Parts of one message: turns, their calls, texts, functions and biases together. Far above what
/// is allowed of each, so that those who come near get a refusal that says more.
pub const MOST: usize = 32_768;

/// Counts the parts of a message of the type `M`, if callers send such messages. What cannot be
/// read is left to the decoder.
///
/// # Errors
/// `InvalidRequest`: there are more than [`MOST`].
pub fn check<M: Name>(message: &[u8]) -> Result<(), Error> {
    let repeated = match M::NAME {
        "CreateCompletionRequest" => COMPLETION,
        "CreateEmbeddingRequest" => EMBEDDING,
        _ => return Ok(()),
    };
    let mut left = MOST;
    if take(message, repeated, &mut left).is_none() {
        return Err(Error::new(
            ErrorCode::InvalidRequest,
            format!("the message has more than {MOST} turns, calls, texts, functions and biases"),
        ));
    }
    Ok(())
}

/// A repeated field by its number, and the repeated fields of what it holds.
struct Repeated(u32, &'static [Repeated]);

const COMPLETION: &[Repeated] = &[
    // Turns, and their calls.
    Repeated(2, &[Repeated(5, &[])]),
    // Prompts.
    Repeated(3, &[]),
    // Biases.
    Repeated(12, &[]),
    // Stop texts.
    Repeated(13, &[]),
    // Functions.
    Repeated(18, &[]),
];

const EMBEDDING: &[Repeated] = &[Repeated(2, &[])];

/// Takes the parts of a message from those that are left; `None` if these are too few.
fn take(mut message: &[u8], repeated: &[Repeated], left: &mut usize) -> Option<()> {
    while !message.is_empty() {
        let Ok((number, wire_type)) = decode_key(&mut message) else {
            break;
        };
        let found = repeated.iter().find(|it| it.0 == number);
        let Some(Repeated(_, inner)) = found.filter(|_| wire_type == WireType::LengthDelimited)
        else {
            let context = DecodeContext::default();
            if skip_field(wire_type, number, &mut message, context).is_err() {
                break;
            }
            continue;
        };
        *left = left.checked_sub(1)?;
        let length = decode_varint(&mut message).ok();
        let length = length.and_then(|length| usize::try_from(length).ok());
        let Some((part, rest)) = length.and_then(|length| message.split_at_checked(length)) else {
            break;
        };
        if !inner.is_empty() {
            take(part, inner, left)?;
        }
        message = rest;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;
    use prost_types::field_descriptor_proto::Label;

    use super::*;
    use crate::pb::inference::{
        ChatMessage, CreateCompletionRequest, CreateEmbeddingRequest, EmbedInput, ToolCall,
    };

    fn is_taken<M: Message + Name>(message: &M) -> bool {
        check::<M>(&message.encode_to_vec()).is_ok()
    }

    fn chat(turns: usize, calls: usize) -> CreateCompletionRequest {
        let turn = ChatMessage {
            tool_calls: vec![ToolCall::default(); calls],
            ..ChatMessage::default()
        };
        CreateCompletionRequest {
            model: "m".to_owned(),
            messages: vec![turn; turns],
            seed: Some(-1),
            temperature: Some(1.0),
            ..CreateCompletionRequest::default()
        }
    }

    #[test]
    fn parts_are_counted_at_every_depth() {
        assert!(is_taken(&chat(MOST, 0)));
        assert!(!is_taken(&chat(MOST + 1, 0)));
        assert!(is_taken(&chat(1, MOST - 1)));
        assert!(!is_taken(&chat(1, MOST)));
        assert!(!is_taken(&chat(MOST / 8, 8)));
        let inputs = |count| CreateEmbeddingRequest {
            input: vec![EmbedInput::default(); count],
            ..CreateEmbeddingRequest::default()
        };
        assert!(is_taken(&inputs(MOST)));
        assert!(!is_taken(&inputs(MOST + 1)));
    }

    /// A repeated field that is added to these messages must be counted here.
    #[test]
    fn every_repeated_message_of_a_request_is_known() {
        let files = FileDescriptorSet::decode(crate::pb::PUBLIC_DESCRIPTORS).unwrap();
        let of_requests = [
            "CreateCompletionRequest",
            "CreateEmbeddingRequest",
            "ChatMessage",
            "Prompt",
            "EmbedInput",
            "Function",
            "OutputFormat",
            "LogitBias",
            "ToolCall",
        ];
        let messages = files.file.iter().flat_map(|file| &file.message_type);
        let messages = messages.filter(|it| of_requests.contains(&it.name()));
        let found: Vec<_> = messages
            .flat_map(|message| {
                let fields = message.field.iter();
                let repeated = fields.filter(|it| it.label() == Label::Repeated);
                repeated.map(|field| format!("{}.{}", message.name(), field.name()))
            })
            .collect();
        assert_eq!(
            found,
            [
                "ChatMessage.tool_calls",
                "CreateCompletionRequest.messages",
                "CreateCompletionRequest.prompt",
                "CreateCompletionRequest.logit_bias",
                "CreateCompletionRequest.stop",
                "CreateCompletionRequest.tools",
                "CreateEmbeddingRequest.input",
            ]
        );
    }

    #[test]
    fn what_is_no_message_is_left_to_the_decoder() {
        for bytes in [
            &b"\x12\xff"[..],
            b"\x12\xff\xff\xff\xff\x0f",
            b"\xff",
            b"\x13\x14",
        ] {
            assert_eq!(
                check::<CreateCompletionRequest>(bytes).map_err(|it| it.code),
                Ok(())
            );
        }
    }
}

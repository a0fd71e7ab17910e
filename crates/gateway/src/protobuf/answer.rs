//! What is generated, as messages.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use fathom_proto::Error;
use fathom_proto::inference::{Delta, FinishReason, TokenLogprob};
use fathom_proto::pb::inference as pb;
use futures::{Stream, StreamExt};
use prost::Message;

use super::{error_message, many, one};
use crate::answer::choice_index;
use crate::dialect::Dialect;
use crate::embedding::Embedded;
use crate::error::ApiError;
use crate::generation::{Generation, Output, WholeChoice};

/// The answer to a completion whose id is `id`; an error that ends its stream is in the words of
/// `dialect`.
pub async fn respond(
    generation: Generation,
    id: String,
    stream: bool,
    dialect: Dialect,
) -> Result<Response, ApiError> {
    if stream {
        let pieces = Some(Pieces { generation, id });
        return Ok(many(Body::from_stream(Delimited { pieces, dialect })));
    }
    Ok(one(&whole(generation, id).await?))
}

/// Waits for all of it.
pub async fn whole(
    generation: Generation,
    id: String,
) -> Result<pb::CreateCompletionResponse, Error> {
    let head = head(&generation, &id);
    let whole = generation.whole().await?;
    let choices = whole.choices.into_iter().enumerate();
    Ok(pb::CreateCompletionResponse {
        choices: choices
            .map(|(index, whole)| whole_choice(index, whole))
            .collect(),
        usage: Some(whole.usage.into()),
        ..head
    })
}

/// The vectors of an answer.
pub fn embeddings(embedded: Embedded) -> Response {
    one(&pb::CreateEmbeddingResponse::from(embedded))
}

impl From<Embedded> for pb::CreateEmbeddingResponse {
    fn from(embedded: Embedded) -> Self {
        let vectors = embedded.embeddings.vectors.into_iter();
        Self {
            data: vectors.map(|values| pb::Embedding { values }).collect(),
            model: embedded.model.to_string(),
            prompt_tokens: embedded.embeddings.prompt_tokens,
        }
    }
}

/// A message for each piece of a generation; the last one has the counts.
pub struct Pieces {
    /// What is generated.
    pub generation: Generation,
    /// The same in every message.
    pub id: String,
}

impl Pieces {
    /// The id of the request.
    pub fn request_id(&self) -> &fathom_proto::id::RequestId {
        self.generation.request_id()
    }

    fn message(&self, output: Output) -> pb::CreateCompletionResponse {
        let (choice, usage) = match output {
            Output::Delta { choice, delta } => (new(choice, delta), None),
            Output::Finish {
                choice,
                reason,
                usage,
            } => (end(choice, reason), usage),
        };
        pb::CreateCompletionResponse {
            choices: vec![choice],
            usage: usage.map(Into::into),
            ..head(&self.generation, &self.id)
        }
    }
}

impl Stream for Pieces {
    type Item = Result<pb::CreateCompletionResponse, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let output = ready!(self.generation.poll_next_unpin(context));
        Poll::Ready(output.map(|output| Ok(self.message(output?))))
    }
}

/// The same, each message behind its length. A failure is the last message.
struct Delimited {
    /// `None`: all was sent.
    pieces: Option<Pieces>,
    dialect: Dialect,
}

impl Stream for Delimited {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let dialect = self.dialect;
        let Some(pieces) = &mut self.pieces else {
            return Poll::Ready(None);
        };
        let message = match ready!(pieces.poll_next_unpin(context)) {
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                error.log_cause(Some(pieces.request_id()));
                let message = pb::CreateCompletionResponse {
                    error: Some(error_message(dialect.body(&error))),
                    ..head(&pieces.generation, &pieces.id)
                };
                self.pieces = None;
                message
            }
            None => {
                self.pieces = None;
                return Poll::Ready(None);
            }
        };
        let mut bytes = BytesMut::with_capacity(message.encoded_len() + 10);
        // A buffer that grows always has room.
        let _ = message.encode_length_delimited(&mut bytes);
        Poll::Ready(Some(Ok(bytes.freeze())))
    }
}

/// What every message of an answer has.
fn head(generation: &Generation, id: &str) -> pb::CreateCompletionResponse {
    pb::CreateCompletionResponse {
        id: id.to_owned(),
        created: generation.created.cast_signed(),
        model: generation.model.clone(),
        system_fingerprint: generation.fingerprint.clone(),
        ..pb::CreateCompletionResponse::default()
    }
}

fn new(choice: usize, delta: Delta) -> pb::CompletionChoice {
    let mut new = pb::CompletionChoice {
        index: choice_index(choice),
        ..pb::CompletionChoice::default()
    };
    let delta = pb::Delta::from(delta);
    match delta.piece {
        Some(pb::delta::Piece::Text(text)) => {
            new.text = text;
            new.logprobs = delta.logprobs;
        }
        Some(pb::delta::Piece::Reasoning(text)) => {
            new.reasoning = text;
            new.reasoning_logprobs = delta.logprobs;
        }
        Some(pb::delta::Piece::ToolCall(call)) => new.tool_calls.push(call),
        None => {}
    }
    new
}

fn end(choice: usize, reason: FinishReason) -> pb::CompletionChoice {
    let (reason, other_reason) = reason.into();
    let finish_reason: pb::FinishReason = reason;
    pb::CompletionChoice {
        index: choice_index(choice),
        finish_reason: finish_reason.into(),
        other_reason,
        ..pb::CompletionChoice::default()
    }
}

fn whole_choice(index: usize, whole: WholeChoice) -> pb::CompletionChoice {
    let calls = whole.tool_calls.into_iter();
    let told = |all: Vec<TokenLogprob>| all.into_iter().map(Into::into).collect();
    pb::CompletionChoice {
        text: whole.text,
        reasoning: whole.reasoning,
        tool_calls: calls
            .map(|(index, call)| pb::ToolCallPiece {
                index,
                id: Some(call.id),
                name: Some(call.name),
                arguments: call.arguments,
            })
            .collect(),
        logprobs: told(whole.logprobs),
        reasoning_logprobs: told(whole.reasoning_logprobs),
        ..end(index, whole.reason)
    }
}

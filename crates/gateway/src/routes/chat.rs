//! `POST /v1/chat/completions`

mod events;

use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::State};
use fathom_api::chat::{AssistantMessage, ChatChoice, ChatCompletion, ChatRequest};
use fathom_proto::id::RequestId;

pub(super) use self::events::ChatEvents;
use crate::answer::{self, choice_index, logprobs};
use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::generation::{Generation, WholeChoice};
use crate::identity::Session;
use crate::protobuf::Asked;
use crate::record::Record;
use crate::routes::generate::{Checked, Wanted};
use crate::{Config, Gateway, request};

/// Continues a conversation.
pub async fn create(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Extension(record): Extension<Record>,
    Extension(dialect): Extension<Dialect>,
    Asked { request, answer }: Asked<ChatRequest>,
) -> Result<Response, ApiError> {
    let logprobs = request.logprobs.unwrap_or(false);
    let checked = checked(dialect, request, record.id(), &gateway.config)?;
    let wanted = Wanted {
        gateway,
        session,
        dialect,
        format: answer,
        id: format!("chatcmpl-{}", record.id()),
        record,
    };
    let whole = move |generation| whole(generation, logprobs);
    wanted.answer(checked, whole).await
}

/// What a chat with this id asks for, and the events that answer it if it streams.
///
/// # Errors
/// Why it may not be asked.
pub fn checked(
    dialect: Dialect,
    mut request: ChatRequest,
    id: &RequestId,
    config: &Config,
) -> Result<Checked<ChatEvents>, ApiError> {
    request::check_chat(dialect, &mut request)?;
    let stream = request::stream_options(request.stream, request.stream_options)?;
    let asked = request::from_chat(request, config)?;
    let events = stream.map(|options| ChatEvents::new(id, options, dialect));
    Ok(Checked { asked, events })
}

async fn whole(generation: Generation, logprobs: bool) -> Result<Response, ApiError> {
    let id = format!("chatcmpl-{}", generation.request_id());
    let model = generation.model.clone();
    let fingerprint = generation.fingerprint.clone();
    let created = generation.created;
    let whole = generation.whole().await?;
    let choices = whole.choices.into_iter().enumerate();
    let answer = ChatCompletion {
        id: id.into(),
        object: "chat.completion".into(),
        created,
        model: model.into(),
        system_fingerprint: fingerprint.map(Into::into),
        choices: choices
            .map(|(index, whole)| choice(index, whole, logprobs))
            .collect(),
        usage: answer::usage(whole.usage),
    };
    Ok(axum::Json(answer).into_response())
}

fn choice(index: usize, whole: WholeChoice, logprobs: bool) -> ChatChoice<'static> {
    let reasoning_logprobs = whole.reasoning_logprobs;
    let reasoning_logprobs = (!reasoning_logprobs.is_empty()).then_some(reasoning_logprobs);
    let tool_calls = answer::tool_calls(whole.tool_calls);
    // A model that only calls functions says nothing, which is not the same as an empty text.
    let content = (tool_calls.is_none() || !whole.text.is_empty()).then_some(whole.text);
    ChatChoice {
        index: choice_index(index),
        message: AssistantMessage {
            role: "assistant".into(),
            content: content.map(Into::into),
            reasoning_content: (!whole.reasoning.is_empty()).then(|| whole.reasoning.into()),
            tool_calls,
            refusal: None,
        },
        logprobs: logprobs.then(|| logprobs::of_chat(Some(whole.logprobs), reasoning_logprobs)),
        finish_reason: answer::finish_reason(whole.reason),
    }
}

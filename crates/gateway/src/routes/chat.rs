//! `POST /v1/chat/completions`

mod events;

use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::State};
use fathom_api::chat::{AssistantMessage, ChatChoice, ChatCompletion, ChatRequest};

pub(super) use self::events::ChatEvents;
use crate::answer::{self, choice_index, logprobs};
use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::event_stream::to_json;
use crate::generation::{Generation, WholeChoice};
use crate::identity::Session;
use crate::keep_alive::KeepAlive;
use crate::protobuf::{self, Asked, Format};
use crate::record::Record;
use crate::{Gateway, event_stream, request};

/// Continues a conversation.
pub async fn create(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Extension(record): Extension<Record>,
    Extension(dialect): Extension<Dialect>,
    Asked {
        mut request,
        answer,
    }: Asked<ChatRequest>,
) -> Result<Response, ApiError> {
    request::check_chat(dialect, &mut request)?;
    let stream = request::stream_options(request.stream, request.stream_options)?;
    let logprobs = request.logprobs.unwrap_or(false);
    let asked = request::from_chat(request, &gateway.config)?;
    if answer == Format::Protobuf {
        let generation = Generation::start(&gateway, &session, &record, asked).await?;
        let id = format!("chatcmpl-{}", record.id());
        return protobuf::respond(generation, id, stream.is_some()).await;
    }
    let events = stream.map(|options| ChatEvents::new(record.id(), options, dialect));
    let alive = match &events {
        Some(events) => KeepAlive::events(&gateway.config, events.clone(), &record),
        None => KeepAlive::whole(
            &gateway.config,
            move |error| to_json(&dialect.body(error)),
            &record,
        ),
    };
    let work = async move {
        let generation = Generation::start(&gateway, &session, &record, asked).await?;
        match events {
            Some(events) => Ok(event_stream::response(generation, events)),
            None => whole(generation, logprobs).await,
        }
    };
    alive.answer(work).await
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

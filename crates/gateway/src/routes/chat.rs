//! `POST /v1/chat/completions`

use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::State};
use fathom_api::chat::{
    AssistantMessage, ChatChoice, ChatChunk, ChatCompletion, ChatRequest, ChunkChoice, Delta,
};
use fathom_api::usage::{FinishReason, Usage};

use crate::Gateway;
use crate::error::ApiError;
use crate::event_stream::{self, Events, finish_reason, to_json};
use crate::generation::Generation;
use crate::identity::Session;
use crate::json::Json;
use crate::record::Record;
use crate::request;

/// Continues a conversation.
pub async fn create(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Extension(record): Extension<Record>,
    Json(request): Json<ChatRequest>,
) -> Result<Response, ApiError> {
    let stream = request.stream.unwrap_or(false);
    let include_usage = request.stream_options.unwrap_or_default().include_usage;
    let request = request::from_chat(request, &gateway.config)?;
    let generation = Generation::start(&gateway, &session, &record, request).await?;
    if stream {
        let id = answer_id(&generation);
        let events = ChatEvents { id, include_usage };
        return Ok(event_stream::response(generation, events, include_usage));
    }
    let id = answer_id(&generation);
    let model = generation.model.clone();
    let created = generation.created;
    let (text, reason, usage) = generation.whole().await?;
    let answer = ChatCompletion {
        id: id.into(),
        object: "chat.completion".into(),
        created,
        model: model.into(),
        choices: vec![ChatChoice {
            index: 0,
            message: AssistantMessage {
                role: "assistant".into(),
                content: Some(text.into()),
                refusal: None,
            },
            logprobs: None,
            finish_reason: finish_reason(reason),
        }],
        usage: Usage::new(usage.prompt_tokens, usage.completion_tokens),
    };
    Ok(axum::Json(answer).into_response())
}

fn answer_id(generation: &Generation) -> String {
    format!("chatcmpl-{}", generation.request_id())
}

struct ChatEvents {
    id: String,
    include_usage: bool,
}

impl ChatEvents {
    fn chunk(
        &self,
        generation: &Generation,
        choice: Option<(Delta<'_>, Option<FinishReason>)>,
        usage: Option<Usage>,
    ) -> Vec<u8> {
        let choices = choice
            .into_iter()
            .map(|(delta, finish_reason)| ChunkChoice {
                index: 0,
                delta,
                logprobs: None,
                finish_reason,
            });
        to_json(&ChatChunk {
            id: self.id.as_str().into(),
            object: "chat.completion.chunk".into(),
            created: generation.created,
            model: generation.model.as_str().into(),
            choices: choices.collect(),
            usage: self.include_usage.then_some(usage),
        })
    }
}

impl Events for ChatEvents {
    fn opening(&self, generation: &Generation) -> Option<Vec<u8>> {
        let delta = Delta {
            role: Some("assistant".into()),
            content: Some("".into()),
        };
        Some(self.chunk(generation, Some((delta, None)), None))
    }

    fn text(&self, generation: &Generation, text: &str) -> Vec<u8> {
        let delta = Delta {
            role: None,
            content: Some(text.into()),
        };
        self.chunk(generation, Some((delta, None)), None)
    }

    fn finish(&self, generation: &Generation, reason: FinishReason) -> Vec<u8> {
        self.chunk(generation, Some((Delta::default(), Some(reason))), None)
    }

    fn usage(&self, generation: &Generation, usage: Usage) -> Vec<u8> {
        self.chunk(generation, None, Some(usage))
    }
}

//! `POST /v1/completions`

use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::State};
use fathom_api::completions::{Choice, Completion, CompletionRequest};
use fathom_api::usage::{FinishReason, Usage};

use crate::Gateway;
use crate::error::ApiError;
use crate::event_stream::{self, Events, finish_reason, to_json};
use crate::generation::Generation;
use crate::identity::Session;
use crate::json::Json;
use crate::record::Record;
use crate::request;

/// Continues a text.
pub async fn create(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Extension(record): Extension<Record>,
    Json(request): Json<CompletionRequest>,
) -> Result<Response, ApiError> {
    let stream = request.stream.unwrap_or(false);
    let include_usage = request.stream_options.unwrap_or_default().include_usage;
    let request = request::from_completion(request, &gateway.config)?;
    let generation = Generation::start(&gateway, &session, &record, request).await?;
    let id = format!("cmpl-{}", generation.request_id());
    if stream {
        let events = CompletionEvents { id, include_usage };
        return Ok(event_stream::response(generation, events, include_usage));
    }
    let model = generation.model.clone();
    let created = generation.created;
    let (text, reason, usage) = generation.whole().await?;
    let answer = Completion {
        id: id.into(),
        object: "text_completion".into(),
        created,
        model: model.into(),
        choices: vec![choice(&text, Some(finish_reason(reason)))],
        usage: Some(Some(Usage::new(
            usage.prompt_tokens,
            usage.completion_tokens,
        ))),
    };
    Ok(axum::Json(answer).into_response())
}

fn choice(text: &str, finish_reason: Option<FinishReason>) -> Choice<'_> {
    Choice {
        index: 0,
        text: text.into(),
        logprobs: None,
        finish_reason,
    }
}

struct CompletionEvents {
    id: String,
    include_usage: bool,
}

impl CompletionEvents {
    fn event(
        &self,
        generation: &Generation,
        choice: Option<Choice<'_>>,
        usage: Option<Usage>,
    ) -> Vec<u8> {
        to_json(&Completion {
            id: self.id.as_str().into(),
            object: "text_completion".into(),
            created: generation.created,
            model: generation.model.as_str().into(),
            choices: choice.into_iter().collect(),
            usage: self.include_usage.then_some(usage),
        })
    }
}

impl Events for CompletionEvents {
    fn opening(&self, _: &Generation) -> Option<Vec<u8>> {
        None
    }

    fn text(&self, generation: &Generation, text: &str) -> Vec<u8> {
        self.event(generation, Some(choice(text, None)), None)
    }

    fn finish(&self, generation: &Generation, reason: FinishReason) -> Vec<u8> {
        self.event(generation, Some(choice("", Some(reason))), None)
    }

    fn usage(&self, generation: &Generation, usage: Usage) -> Vec<u8> {
        self.event(generation, None, Some(usage))
    }
}

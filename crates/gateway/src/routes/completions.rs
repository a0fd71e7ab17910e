//! `POST /v1/completions`

mod events;

use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::State};
use fathom_api::completions::{Choice, Completion, CompletionRequest};

use self::events::CompletionEvents;
use crate::answer::{self, choice_index, logprobs};
use crate::error::ApiError;
use crate::generation::{Generation, WholeChoice};
use crate::identity::Session;
use crate::protobuf::{self, Asked, Format};
use crate::record::Record;
use crate::{Gateway, event_stream, request};

/// Continues texts.
pub async fn create(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Extension(record): Extension<Record>,
    Asked { request, answer }: Asked<CompletionRequest>,
) -> Result<Response, ApiError> {
    let stream = request.stream.unwrap_or(false);
    let include_usage = request.stream_options.unwrap_or_default().include_usage;
    let logprobs = request.logprobs.is_some();
    let asked = request::from_completion(request, &gateway.config)?;
    let generation = Generation::start(&gateway, &session, &record, asked).await?;
    let id = format!("cmpl-{}", generation.request_id());
    if answer == Format::Protobuf {
        return protobuf::respond(generation, id, stream).await;
    }
    if stream {
        let events = CompletionEvents::new(id, include_usage, generation.choices());
        return Ok(event_stream::response(generation, events, include_usage));
    }
    let model = generation.model.clone();
    let fingerprint = generation.fingerprint.clone();
    let created = generation.created;
    let whole = generation.whole().await?;
    let choices = whole.choices.into_iter().enumerate();
    let answer = Completion {
        id: id.into(),
        object: "text_completion".into(),
        created,
        model: model.into(),
        system_fingerprint: fingerprint.map(Into::into),
        choices: choices
            .map(|(index, whole)| choice(index, whole, logprobs))
            .collect(),
        usage: Some(Some(answer::usage(whole.usage))),
    };
    Ok(axum::Json(answer).into_response())
}

fn choice(index: usize, whole: WholeChoice, logprobs: bool) -> Choice<'static> {
    // A text has no thoughts; what an upstream takes for some is part of it.
    let mut tokens = whole.reasoning_logprobs;
    tokens.extend(whole.logprobs);
    Choice {
        index: choice_index(index),
        text: (whole.reasoning + &whole.text).into(),
        logprobs: logprobs.then(|| logprobs::of_completion(tokens, &mut 0)),
        finish_reason: Some(answer::finish_reason(whole.reason)),
    }
}

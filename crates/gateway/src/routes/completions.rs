//! `POST /v1/completions`

mod events;

use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::State};
use fathom_api::completions::{Choice, Completion, CompletionRequest};

pub(super) use self::events::CompletionEvents;
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

/// Continues texts.
pub async fn create(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Extension(record): Extension<Record>,
    Extension(dialect): Extension<Dialect>,
    Asked {
        mut request,
        answer,
    }: Asked<CompletionRequest>,
) -> Result<Response, ApiError> {
    request::check_completion(dialect, &mut request)?;
    let stream = request::stream_options(request.stream, request.stream_options)?;
    let logprobs = request.logprobs.is_some();
    let asked = request::from_completion(request, &gateway.config)?;
    if answer == Format::Protobuf {
        let generation = Generation::start(&gateway, &session, &record, asked).await?;
        let id = format!("cmpl-{}", record.id());
        return protobuf::respond(generation, id, stream.is_some()).await;
    }
    let choices = asked.requests.len();
    let events =
        stream.map(|options| CompletionEvents::new(record.id(), choices, options, dialect));
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
    let id = format!("cmpl-{}", generation.request_id());
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
        obfuscation: None,
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

//! `POST /v1/completions`

mod events;

use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::State};
use fathom_api::completions::{Choice, Completion, CompletionRequest};
use fathom_proto::id::RequestId;

pub(super) use self::events::CompletionEvents;
use crate::answer::{self, choice_index, logprobs};
use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::generation::{Generation, WholeChoice};
use crate::identity::Session;
use crate::protobuf::Asked;
use crate::record::Record;
use crate::routes::generate::{Checked, Wanted};
use crate::{Config, Gateway, request};

/// Continues texts.
pub async fn create(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Extension(record): Extension<Record>,
    Extension(dialect): Extension<Dialect>,
    Asked { request, answer }: Asked<CompletionRequest>,
) -> Result<Response, ApiError> {
    let logprobs = request.logprobs.is_some();
    let checked = checked(dialect, request, record.id(), &gateway.config)?;
    let wanted = Wanted {
        gateway,
        session,
        dialect,
        format: answer,
        id: format!("cmpl-{}", record.id()),
        record,
    };
    let whole = move |generation| whole(generation, logprobs);
    wanted.answer(checked, whole).await
}

/// What a completion with this id asks for, and the events that answer it if it streams.
///
/// # Errors
/// Why it may not be asked.
pub fn checked(
    dialect: Dialect,
    mut request: CompletionRequest,
    id: &RequestId,
    config: &Config,
) -> Result<Checked<CompletionEvents>, ApiError> {
    request::check_completion(dialect, &mut request)?;
    let stream = request::stream_options(request.stream, request.stream_options)?;
    let asked = request::from_completion(dialect, request, config)?;
    let choices = asked.requests.len();
    let events = stream.map(|options| CompletionEvents::new(id, choices, options, dialect));
    Ok(Checked { asked, events })
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

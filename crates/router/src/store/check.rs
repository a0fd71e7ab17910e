//! What the fields of requests may hold. Texts that no row can have do not reach the database.

use fathom_proto::administration::Page;
use fathom_proto::id::ModelId;
use fathom_proto::inference::Sampling;
use fathom_proto::models::{Deploy, Guard, NewModel};

use crate::Error;

const MAX_NAME_BYTES: usize = 200;
const MAX_OWNER_CHARS: usize = 200;
const MAX_WORDS_CHARS: usize = 1_000;
/// Each is applied for every token.
const MAX_LOGIT_BIASES: usize = 1_024;

/// A field that is wrong.
pub(super) fn invalid<T>(field: &'static str, problem: impl Into<String>) -> Result<T, Error> {
    let problem = problem.into();
    Err(Error::InvalidField { field, problem })
}

/// A name that some model may have.
pub(super) fn known(model: &ModelId) -> Result<(), Error> {
    if is_name(model) {
        return Ok(());
    }
    let model = model.clone();
    Err(Error::ModelNotFound { model })
}

pub(super) fn new_model(new: &NewModel) -> Result<(), Error> {
    name("id", &new.id)?;
    if let Some(target) = &new.target {
        name("target", target)?;
    }
    if new.owned_by.trim().is_empty() || !is_text(&new.owned_by, MAX_OWNER_CHARS) {
        return invalid("owned_by", "must be 1 to 200 characters of one line");
    }
    if new.context_length == 0 {
        return invalid("context_length", "must be at least 1");
    }
    Ok(())
}

pub(super) fn deploy(deploy: &Deploy) -> Result<(), Error> {
    match (deploy.version, &deploy.target) {
        (None, None) => {
            return invalid("target", "is missing; or name a `version` that is there");
        }
        (Some(_), Some(_)) => {
            return invalid("target", "is for a new version; leave it out, or `version`");
        }
        (Some(_), None) if deploy.parameters != Sampling::default() => {
            return invalid(
                "parameters",
                "are for a new version; those of a version stay",
            );
        }
        (Some(_), None) => {}
        (None, Some(target)) => name("target", target)?,
    }
    if !(1..=99).contains(&deploy.percent) {
        return invalid(
            "percent",
            "must be 1 to 99; to give a version all, promote it",
        );
    }
    parameters(&deploy.parameters)?;
    deploy.guard.as_ref().map_or(Ok(()), guard)?;
    words("why", &deploy.why)
}

/// The model that answers in place of another.
pub(super) fn fallback(model: &ModelId, fallback: &ModelId) -> Result<(), Error> {
    if model == fallback {
        return invalid("fallback", "must be another model");
    }
    name("fallback", fallback)
}

/// What somebody says of a change.
pub(super) fn words(field: &'static str, text: &str) -> Result<(), Error> {
    if is_text(text, MAX_WORDS_CHARS) {
        return Ok(());
    }
    invalid(field, "must be at most 1000 characters of one line")
}

pub(super) fn limit(limit: u32) -> Result<i64, Error> {
    match limit {
        1..=Page::MAX_LIMIT => Ok(i64::from(limit)),
        _ => invalid("limit", "must be 1 to 1000"),
    }
}

fn guard(guard: &Guard) -> Result<(), Error> {
    if !(guard.max_error_increase > 0.0 && guard.max_error_increase <= 1.0) {
        return invalid("guard.max_error_increase", "must be above 0 and at most 1");
    }
    if !(1.0..=1_000.0).contains(&guard.max_first_token_ratio) {
        return invalid("guard.max_first_token_ratio", "must be 1 to 1000");
    }
    if !(10..=1_000_000).contains(&guard.min_requests) {
        return invalid("guard.min_requests", "must be 10 to 1000000");
    }
    Ok(())
}

/// As requests may ask for.
fn parameters(parameters: &Sampling) -> Result<(), Error> {
    let outside = |value: Option<f32>, low: f32, high: f32| {
        value.is_some_and(|value| !(low..=high).contains(&value))
    };
    if outside(parameters.temperature, 0.0, 2.0) {
        return invalid("parameters.temperature", "must be from 0 to 2");
    }
    if outside(parameters.top_p, f32::MIN_POSITIVE, 1.0) {
        return invalid("parameters.top_p", "must be above 0 and at most 1");
    }
    if parameters.top_k == Some(0) {
        return invalid("parameters.top_k", "must be at least 1");
    }
    if outside(parameters.min_p, 0.0, 1.0) {
        return invalid("parameters.min_p", "must be from 0 to 1");
    }
    if outside(parameters.frequency_penalty, -2.0, 2.0) {
        return invalid("parameters.frequency_penalty", "must be from -2 to 2");
    }
    if outside(parameters.presence_penalty, -2.0, 2.0) {
        return invalid("parameters.presence_penalty", "must be from -2 to 2");
    }
    let biases = &parameters.logit_bias;
    if biases.len() > MAX_LOGIT_BIASES {
        return invalid("parameters.logit_bias", "must hold at most 1024 tokens");
    }
    if biases
        .iter()
        .any(|bias| outside(Some(bias.bias), -100.0, 100.0))
    {
        return invalid("parameters.logit_bias", "must hold biases from -100 to 100");
    }
    Ok(())
}

fn name(field: &'static str, name: &ModelId) -> Result<(), Error> {
    if is_name(name) {
        return Ok(());
    }
    invalid(
        field,
        "must be a name of 1 to 200 printable ASCII characters, without spaces",
    )
}

fn is_name(name: &ModelId) -> bool {
    let name = name.as_str();
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
}

fn is_text(text: &str, max_chars: usize) -> bool {
    // Four bytes a character at most, so that a long text is not counted to its end.
    let fits = text.len() <= 4 * max_chars && text.chars().count() <= max_chars;
    fits && !text.contains(char::is_control)
}

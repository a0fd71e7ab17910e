//! The answers of a request that fails, one for each status and form of body.

use std::collections::BTreeSet;

use fathom_api::error::ErrorBody;
use fathom_api::messages;
use fathom_api::oauth::TokenError;
use fathom_proto::ErrorCode;
use http::StatusCode;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::Operation;
use super::operation::{SchemaOf, headers, message};
use super::schemas::Schemas;
use crate::error::ErrorForm;
use crate::policy::Policy;
use crate::protobuf::PROTOBUF;
use crate::routes::Problem;
use crate::routes::anthropic::OVERLOADED;

const RETRY_AFTER: [(&str, &str); 2] = [
    ("retry-after", "Seconds until a retry may succeed."),
    ("retry-after-ms", "The same, more exactly."),
];
const REQUEST_ID: (&str, &str) = ("request-id", "The same as `x-request-id`.");
const CHALLENGE: (&str, &str) = ("www-authenticate", "What is missing (RFC 6750, section 3).");

/// The statuses of everything that can go wrong with an operation at a path.
pub fn statuses(path: &str, policy: Policy, operation: &Operation) -> BTreeSet<u16> {
    let form = operation.form_at(path);
    let codes = operation.failures.iter().chain(policy.failures());
    codes.flat_map(|code| form.statuses(*code)).collect()
}

/// Those that a document refers to.
#[derive(Default)]
pub struct Failures(BTreeSet<(ErrorForm, u16)>);

impl Failures {
    /// A reference to one of them.
    pub fn reference(&mut self, form: ErrorForm, status: u16) -> Value {
        self.0.insert((form, status));
        json!({ "$ref": format!("#/components/responses/{}", name(form, status)) })
    }

    /// All of them.
    pub fn components(self, schemas: &mut Schemas) -> Value {
        let all = self.0.into_iter();
        all.map(|(form, status)| (name(form, status), component(form, status, schemas)))
            .collect::<Map<_, _>>()
            .into()
    }
}

fn name(form: ErrorForm, status: u16) -> String {
    format!("{form:?}{status}")
}

fn component(form: ErrorForm, status: u16, schemas: &mut Schemas) -> Value {
    let (media, schema): (_, SchemaOf) = match form {
        ErrorForm::Common | ErrorForm::DeepSeek => (
            "application/json",
            SchemaGenerator::subschema_for::<ErrorBody<'static>>,
        ),
        ErrorForm::Problem => (
            "application/problem+json",
            SchemaGenerator::subschema_for::<Problem<'static>>,
        ),
        ErrorForm::Anthropic => (
            "application/json",
            SchemaGenerator::subschema_for::<messages::ErrorBody<'static>>,
        ),
        ErrorForm::OAuth => (
            "application/json",
            SchemaGenerator::subschema_for::<TokenError>,
        ),
    };
    let mut described = json!({
        "description": description(form, status),
        "content": {media: {"schema": schemas.written(schema)}},
    });
    if let ErrorForm::Common | ErrorForm::DeepSeek = form {
        described["content"][PROTOBUF] = message("Error");
    }
    let mut told = match status {
        401 | 403 => vec![CHALLENGE],
        429 | 503 | OVERLOADED => RETRY_AFTER.to_vec(),
        _ => Vec::new(),
    };
    if form == ErrorForm::Anthropic {
        told.push(REQUEST_ID);
    }
    if !told.is_empty() {
        described["headers"] = headers(&told);
    }
    described
}

/// The name of the status and the codes that it can have.
fn description(form: ErrorForm, status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok();
    let reason = reason.and_then(|status| status.canonical_reason());
    let reason = reason.unwrap_or(match status {
        OVERLOADED => "Overloaded",
        _ => "The caller went away",
    });
    if form == ErrorForm::OAuth {
        return format!("{reason}.");
    }
    let codes = ErrorCode::ALL.into_iter();
    let mut words: Vec<_> = codes
        .filter(|code| form.statuses(*code).contains(&status))
        .map(|code| format!("`{}`", form.word(code)))
        .collect();
    words.dedup();
    format!("{reason}: {}.", words.join(", "))
}

//! The answers of a request that fails, one for each status and form of body.

use std::collections::BTreeSet;

use fathom_api::error::ErrorBody;
use fathom_api::oauth::TokenError;
use fathom_proto::ErrorCode;
use http::StatusCode;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::operation::{SchemaOf, headers};
use super::schemas::Schemas;
use super::{ErrorForm, Operation};
use crate::policy::Policy;
use crate::routes::Problem;

const RETRY_AFTER: (&str, &str) = ("retry-after", "Seconds until a retry may succeed.");
const CHALLENGE: (&str, &str) = ("www-authenticate", "What is missing (RFC 6750, section 3).");

/// The statuses of everything that can go wrong with an operation.
pub fn statuses(policy: Policy, operation: &Operation) -> BTreeSet<u16> {
    let mut statuses = operation.statuses();
    let denials = policy.failures().iter();
    statuses.extend(denials.map(|code| code.row().http));
    statuses
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
        ErrorForm::Common => (
            "application/json",
            SchemaGenerator::subschema_for::<ErrorBody<'static>>,
        ),
        ErrorForm::Problem => (
            "application/problem+json",
            SchemaGenerator::subschema_for::<Problem<'static>>,
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
    match status {
        401 | 403 => described["headers"] = headers(&[CHALLENGE]),
        429 | 503 => described["headers"] = headers(&[RETRY_AFTER]),
        _ => {}
    }
    described
}

/// The name of the status and the codes that it can have.
fn description(form: ErrorForm, status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok();
    let reason = reason.and_then(|status| status.canonical_reason());
    let reason = reason.unwrap_or("The caller went away");
    if form == ErrorForm::OAuth {
        return format!("{reason}.");
    }
    let codes = ErrorCode::ALL.map(ErrorCode::row).into_iter();
    let names: Vec<_> = codes
        .filter(|row| row.http == status)
        .map(|row| format!("`{}`", row.name))
        .collect();
    format!("{reason}: {}.", names.join(", "))
}

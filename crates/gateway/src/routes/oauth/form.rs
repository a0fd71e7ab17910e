//! The parameters of a request to the authorization server.

use std::net::IpAddr;

use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, Request};
use fathom_kit::server::{BodyStalled, Peer};
use fathom_proto::identity::ClientAuthentication;
use http::{HeaderMap, StatusCode};
use schemars::Schema;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::client::{self, JWT_BEARER};
use super::refusal::Refusal;
use crate::openapi::security::BASIC;
use crate::openapi::{Input, Operation};

/// A form, in which nothing is there twice (RFC 6749, section 3.2). An unknown parameter is
/// ignored.
#[derive(Default)]
pub struct Form {
    /// What is asked of the token endpoint.
    pub grant_type: Option<String>,
    /// Wanted scopes, space-separated.
    pub scope: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) address: Option<IpAddr>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<SecretString>,
    pub(super) client_assertion: Option<SecretString>,
    pub(super) client_assertion_type: Option<String>,
    token: Option<SecretString>,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let headers = request.headers().clone();
        let peer = request.extensions().get::<Peer>().copied();
        let pairs = axum::Form::<Vec<(String, String)>>::from_request(request, state).await;
        let mut form = Self {
            headers,
            address: peer.and_then(|peer| peer.address),
            ..Self::default()
        };
        form.read(pairs.map_err(unreadable)?.0)?;
        Ok(form)
    }
}

impl Form {
    fn read(&mut self, pairs: Vec<(String, String)>) -> Result<(), Refusal> {
        for (name, value) in pairs {
            // One without a value counts as omitted (RFC 6749, section 3.2).
            if value.is_empty() {
                continue;
            }
            let repeated = match name.as_str() {
                "grant_type" => self.grant_type.replace(value).is_some(),
                "scope" => self.scope.replace(value).is_some(),
                "client_id" => self.client_id.replace(value).is_some(),
                "client_secret" => self.client_secret.replace(value.into()).is_some(),
                "client_assertion" => self.client_assertion.replace(value.into()).is_some(),
                "client_assertion_type" => self.client_assertion_type.replace(value).is_some(),
                "token" => self.token.replace(value.into()).is_some(),
                _ => false,
            };
            if repeated {
                return Err(Refusal::Request("a parameter is there more than once"));
            }
        }
        Ok(())
    }

    /// The token that the request is about.
    pub fn token(&mut self) -> Result<SecretString, Refusal> {
        let token = self.token.take();
        token.ok_or(Refusal::Request("`token` is missing"))
    }

    /// Whether the client uses HTTP's own way to say who it is, and is answered in it.
    pub fn is_basic(&self) -> bool {
        client::is_basic(&self.headers)
    }

    /// The client that sends the request, as it says.
    pub fn client(self) -> Result<ClientAuthentication, Refusal> {
        client::authentication(self)
    }
}

impl Input for Form {
    fn describe(operation: &mut Operation) {
        operation.own_scheme = Some(BASIC);
    }
}

/// The schema of a form with `members`, and with what a client says who it is with.
pub fn schema(required: &[&str], members: Value) -> Schema {
    let text = |description: &str| json!({"type": "string", "description": description});
    let client = json!({
        "client_id": text("The client, unless the header names it."),
        "client_secret": text("Its secret, unless it is in the header."),
        "client_assertion": text("A JWT that the client signed (RFC 7523, section 2.2)."),
        "client_assertion_type": {"type": "string", "enum": [JWT_BEARER]},
    });
    let members = [members, client]
        .into_iter()
        .filter_map(|members| match members {
            Value::Object(members) => Some(members),
            _ => None,
        });
    let mut schema = Schema::default();
    schema.insert("type".to_owned(), "object".into());
    let members: Map<_, _> = members.flatten().collect();
    schema.insert("properties".to_owned(), members.into());
    schema.insert("required".to_owned(), required.into());
    schema
}

fn unreadable(rejection: FormRejection) -> Refusal {
    if BodyStalled::is_cause_of(&rejection) {
        Refusal::TooSlow
    } else if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Refusal::TooLarge
    } else {
        Refusal::Request(
            "the body must be a form; send `Content-Type: application/x-www-form-urlencoded`",
        )
    }
}

//! `POST /oauth/token`: client credentials for an access token (RFC 6749, section 4.4). Answers
//! and errors have the RFC's form, which OAuth clients read, not that of the other routes.

use std::borrow::Cow;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fathom_api::oauth::{TokenError, TokenResponse};
use fathom_proto::identity::{Scopes, TokenRequest};
use fathom_proto::{Error, ErrorCode};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};

use crate::Gateway;
use crate::error::ApiError;

/// Issues a token.
pub async fn issue(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    form: Result<Form<Vec<(String, String)>>, axum::extract::rejection::FormRejection>,
) -> Response {
    let mut response = match answer(&gateway, &headers, form.map(|form| form.0).ok()).await {
        Ok(token) => Json(token).into_response(),
        Err(refusal) => refusal.into_response(),
    };
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn answer(
    gateway: &Gateway,
    headers: &HeaderMap,
    form: Option<Vec<(String, String)>>,
) -> Result<TokenResponse, Refusal> {
    let form = form.ok_or(Refusal::Request(
        "the body must be a form; send `Content-Type: application/x-www-form-urlencoded`",
    ))?;
    let form = Parameters::read(form)?;
    match form.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Err(Refusal::GrantType),
        None => return Err(Refusal::Request("`grant_type` is missing")),
    }
    let scopes = form
        .scope
        .as_deref()
        .map(|names| Scopes::parse(names.split_ascii_whitespace()));
    let scopes = scopes.transpose().map_err(|_| Refusal::Scope)?;
    let scopes = scopes.filter(|scopes| !scopes.is_empty());
    let basic = headers.get(header::AUTHORIZATION);
    let (client_id, client_secret) = match (basic, form.client_id, form.client_secret) {
        (Some(header), id, None) => {
            let (client, secret) =
                basic_credentials(header).ok_or(Refusal::Client { basic: true })?;
            if id.is_some_and(|id| id != client) {
                return Err(Refusal::Request("two different clients in header and body"));
            }
            (client, secret)
        }
        (Some(_), _, Some(_)) => {
            return Err(Refusal::Request(
                "credentials in header and body; use one of them",
            ));
        }
        (None, Some(id), Some(secret)) => (id, secret),
        (None, _, _) => return Err(Refusal::Client { basic: false }),
    };
    let request = TokenRequest {
        client_id,
        client_secret,
        scopes,
    };
    match gateway.call(gateway.identity.issue_token(request)).await {
        Ok(token) => Ok(TokenResponse {
            access_token: token.token.expose_secret().to_owned(),
            token_type: "Bearer".into(),
            expires_in: token.expires_in,
            scope: token.scopes.to_string(),
        }),
        Err(error) => Err(match error.code {
            ErrorCode::Unauthenticated => Refusal::Client {
                basic: basic.is_some(),
            },
            ErrorCode::InvalidRequest | ErrorCode::PermissionDenied => Refusal::Scope,
            _ => Refusal::Server(error),
        }),
    }
}

#[derive(Default)]
struct Parameters {
    grant_type: Option<String>,
    scope: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
}

impl Parameters {
    /// A repeated parameter makes the request malformed (RFC 6749, section 3.2); an unknown one
    /// does not.
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        let mut read = Self::default();
        for (name, value) in pairs {
            let repeated = match name.as_str() {
                "grant_type" => read.grant_type.replace(value).is_some(),
                "scope" => read.scope.replace(value).is_some(),
                "client_id" => read.client_id.replace(value).is_some(),
                "client_secret" => read.client_secret.replace(value.into()).is_some(),
                _ => false,
            };
            if repeated {
                return Err(Refusal::Request("a parameter is there more than once"));
            }
        }
        Ok(read)
    }
}

/// Id and secret are form-encoded before they are joined (RFC 6749, section 2.3.1).
fn basic_credentials(header: &HeaderValue) -> Option<(String, SecretString)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?.into()))
}

fn form_decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text)
        .decode_utf8()
        .ok()
        .map(Cow::into_owned)
}

enum Refusal {
    Request(&'static str),
    GrantType,
    Scope,
    Client { basic: bool },
    Server(Error),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error, description) = match self {
            Self::Request(description) => (StatusCode::BAD_REQUEST, "invalid_request", description),
            Self::GrantType => (
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "`grant_type` must be `client_credentials`",
            ),
            Self::Scope => (
                StatusCode::BAD_REQUEST,
                "invalid_scope",
                "a wanted scope is unknown or not granted to this client",
            ),
            Self::Client { .. } => (
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "the client is not authenticated",
            ),
            Self::Server(error) => {
                let mut response = ApiError(error).into_response();
                let body = TokenError {
                    error: "temporarily_unavailable".into(),
                    error_description: "the token cannot be issued now; try again".into(),
                };
                *response.body_mut() = Json(body).into_response().into_body();
                response.headers_mut().remove(header::CONTENT_LENGTH);
                return response;
            }
        };
        let body = TokenError {
            error: error.into(),
            error_description: description.into(),
        };
        let mut response = (status, Json(body)).into_response();
        if matches!(self, Self::Client { basic: true }) {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"fathom\""),
            );
        }
        response
    }
}

//! `POST /oauth/token`: client credentials for an access token (RFC 6749, section 4.4).

use axum::Json;
use axum::extract::State;
use fathom_api::oauth::TokenResponse;
use fathom_proto::ErrorCode;
use fathom_proto::identity::{Scopes, TokenRequest};
use schemars::{Schema, SchemaGenerator};
use secrecy::ExposeSecret;
use serde_json::json;

use super::form::{self, Form};
use super::refusal::Refusal;
use crate::Gateway;

/// The one grant that there is.
const GRANT_TYPE: &str = "client_credentials";

/// Issues a token.
pub async fn issue(
    State(gateway): State<Gateway>,
    form: Form,
) -> Result<Json<TokenResponse>, Refusal> {
    match form.grant_type.as_deref() {
        Some(GRANT_TYPE) => {}
        Some(_) => return Err(Refusal::GrantType),
        None => return Err(Refusal::Request("`grant_type` is missing")),
    }
    let names = form.scope.as_deref().unwrap_or_default();
    let scopes = Scopes::parse(names.split_ascii_whitespace()).map_err(|_| Refusal::Scope)?;
    let scopes = Some(scopes).filter(|scopes| !scopes.is_empty());
    let basic = form.is_basic();
    let client = form.client()?;
    let request = TokenRequest { client, scopes };
    let token = gateway.call(gateway.identity.issue_token(request)).await;
    let token = token.map_err(|error| match error.code {
        ErrorCode::InvalidRequest | ErrorCode::PermissionDenied => Refusal::Scope,
        _ => Refusal::from_auth(error, basic),
    })?;
    Ok(Json(TokenResponse {
        access_token: token.token.expose_secret().to_owned(),
        token_type: "Bearer".into(),
        expires_in: token.expires_in,
        scope: token.scopes.to_string(),
    }))
}

/// What [`issue`] reads.
pub fn form(_: &mut SchemaGenerator) -> Schema {
    let members = json!({
        "grant_type": {"type": "string", "enum": [GRANT_TYPE]},
        "scope": {
            "type": "string",
            "description": "Wanted scopes, space-separated; absent: all that the client has.",
        },
    });
    form::schema(&["grant_type"], members)
}

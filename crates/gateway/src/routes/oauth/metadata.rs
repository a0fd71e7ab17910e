//! `GET /.well-known/oauth-authorization-server` (RFC 8414) and `GET /.well-known/jwks.json` (RFC
//! 7517): what anybody may read. They are answered from the cached key set, so they need no auth.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use fathom_api::oauth::Metadata;
use fathom_proto::ErrorCode;
use fathom_proto::identity::{KeySet, Scope};
use http::header;

use super::{INTROSPECT, KEYS, REVOKE, TOKEN};
use crate::Gateway;
use crate::error::ApiError;

/// Long enough to be cheap; keys are published longer than this before they sign.
const CACHE_CONTROL: (header::HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=300");

/// RFC 7517, section 8.5.2.
pub const JWK_SET: &str = "application/jwk-set+json";

const METHODS: [&str; 4] = [
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
];
const ALGORITHMS: [&str; 5] = ["HS256", "EdDSA", "ES256", "RS256", "PS256"];

/// What this authorization server can do.
pub async fn metadata(State(gateway): State<Gateway>) -> Result<Response, ApiError> {
    let issuer = key_set(&gateway)?.issuer.clone();
    let address = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
    let metadata = Metadata {
        token_endpoint: address(TOKEN),
        introspection_endpoint: address(INTROSPECT),
        revocation_endpoint: address(REVOKE),
        jwks_uri: address(KEYS),
        scopes_supported: names(&Scope::ALL.map(Scope::as_str)),
        response_types_supported: Vec::new(),
        grant_types_supported: names(&["client_credentials"]),
        token_endpoint_auth_methods_supported: names(&METHODS),
        token_endpoint_auth_signing_alg_values_supported: names(&ALGORITHMS),
        introspection_endpoint_auth_methods_supported: names(&METHODS),
        introspection_endpoint_auth_signing_alg_values_supported: names(&ALGORITHMS),
        revocation_endpoint_auth_methods_supported: names(&METHODS),
        revocation_endpoint_auth_signing_alg_values_supported: names(&ALGORITHMS),
        issuer,
    };
    Ok(([CACHE_CONTROL], Json(metadata)).into_response())
}

/// The keys that verify access tokens.
pub async fn keys(State(gateway): State<Gateway>) -> Result<Response, ApiError> {
    let jwks = key_set(&gateway)?.jwks.clone();
    let content_type = (header::CONTENT_TYPE, JWK_SET);
    Ok(([CACHE_CONTROL, content_type], jwks).into_response())
}

fn key_set(gateway: &Gateway) -> Result<Arc<KeySet>, ApiError> {
    gateway.identities.key_set().ok_or_else(|| {
        let message = "the keys are not known yet; send the request again";
        ApiError::new(ErrorCode::Unavailable, message)
    })
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

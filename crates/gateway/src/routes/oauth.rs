//! The OAuth2 authorization server as clients see it. Answers and errors have the RFCs' forms, which
//! OAuth libraries read, not that of the other routes.
//!
//! # Layout
//!
//! - [`token`], [`introspect`], [`revoke`]: an endpoint each
//! - [`metadata`]: what anybody may read: the metadata, the keys
//! - [`form`]: the parameters of a request; [`client`]: the client that sends it
//! - [`refusal`]: errors in the form of RFC 6749

mod client;
mod form;
mod introspect;
mod metadata;
mod refusal;
mod revoke;
mod token;

use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::MethodRouter;
use fathom_api::oauth::Metadata;
use http::{HeaderValue, header};
use schemars::{Schema, SchemaGenerator};
use serde_json::json;

use super::Route;
use crate::Gateway;
use crate::openapi::methods::{get, post};
use crate::policy::Policy;

const TOKEN: &str = "/oauth/token";
const INTROSPECT: &str = "/oauth/introspect";
const REVOKE: &str = "/oauth/revoke";
const KEYS: &str = "/.well-known/jwks.json";
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// A form holds a credential, a token and a few words.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The routes of the authorization server.
pub fn table() -> Vec<Route> {
    vec![
        (
            TOKEN,
            Policy::OwnCredentials,
            post("Issue an access token.", token::issue)
                .form(token::form)
                .within(secret),
        ),
        (
            INTROSPECT,
            Policy::OwnCredentials,
            post("Say what a token is good for.", introspect::answer)
                .form(about_token)
                .within(secret),
        ),
        (
            REVOKE,
            Policy::OwnCredentials,
            post("End an access token.", revoke::end)
                .form(about_token)
                .within(secret),
        ),
        (
            KEYS,
            Policy::Public,
            get("Read the keys that verify access tokens.", metadata::keys)
                .answers_media(metadata::JWK_SET),
        ),
        (
            METADATA,
            Policy::Public,
            get(
                "Read what the authorization server can do.",
                metadata::metadata,
            )
            .answers::<Metadata>(),
        ),
    ]
}

/// What the routes read that are about a token.
fn about_token(_: &mut SchemaGenerator) -> Schema {
    let token = json!({"token": {"type": "string", "description": "The token."}});
    form::schema(&["token"], token)
}

/// A route whose answers are not to be stored on their way (RFC 6749, section 5.1).
fn secret(route: MethodRouter<Gateway>) -> MethodRouter<Gateway> {
    route
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(map_response(async |mut response: Response| {
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
            response
        }))
}

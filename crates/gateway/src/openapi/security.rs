//! A route's policy in OpenAPI's words: the guard and the document go by the same value.

use serde_json::{Value, json};

use super::Operation;
use crate::policy::{Policy, X_API_KEY};

/// `Authorization: Bearer …`
pub const BEARER: &str = "bearer";
/// `x-api-key: …`
pub const API_KEY: &str = "x-api-key";
/// `Authorization: Basic …`
pub const BASIC: &str = "basic";

/// The kinds of credentials.
pub fn schemes() -> Value {
    json!({
        BEARER: {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, an access token of `/oauth/token`, or a JWT that a client \
                signs for itself. The scope that a route needs stands beside this scheme's name.",
        },
        API_KEY: {
            "type": "apiKey",
            "in": "header",
            "name": X_API_KEY.as_str(),
            "description": "What could be a bearer's, in Anthropic's header. Both headers together \
                must say the same.",
        },
        BASIC: {
            "type": "http",
            "scheme": "basic",
            "description": "A client's id and secret, both form-encoded first (RFC 6749, section \
                2.3.1). A client may say who it is in the body in its place.",
        },
    })
}

/// What a caller of the operation must show.
pub fn requirement(policy: Policy, operation: &Operation) -> Value {
    match policy {
        Policy::Public => json!([]),
        Policy::Scope(scope) => json!([{BEARER: [scope.as_str()]}]),
        Policy::ScopeByKey(scope) => {
            json!([{BEARER: [scope.as_str()]}, {API_KEY: [scope.as_str()]}])
        }
        // What is not in the header is in the body, or in the first message.
        Policy::OwnCredentials => match operation.own_scheme {
            Some(scheme) => json!([{scheme: []}, {}]),
            None => json!([]),
        },
    }
}

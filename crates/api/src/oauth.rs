//! `POST /oauth/token` (RFC 6749).

use serde::{Deserialize, Serialize};

/// A successful answer (RFC 6749, section 5.1).
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenResponse {
    /// The access token; secret.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Lifetime in seconds.
    pub expires_in: u32,
    /// Granted scopes, space-separated.
    pub scope: String,
}

/// A refusal (RFC 6749, section 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenError {
    /// `invalid_request`, `invalid_client`, `unsupported_grant_type`, `invalid_scope`, …
    pub error: String,
    /// For people.
    pub error_description: String,
}

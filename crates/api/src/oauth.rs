//! The OAuth2 endpoints: `/oauth/*` and `/.well-known/oauth-authorization-server`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An answer of `POST /oauth/token` (RFC 6749, section 5.1).
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
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

/// A refusal of the endpoints below `/oauth` (RFC 6749, section 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenError {
    /// `invalid_request`, `invalid_client`, `unsupported_grant_type`, `invalid_scope`, …
    pub error: String,
    /// For people.
    pub error_description: String,
}

/// An answer of `POST /oauth/introspect` (RFC 7662, section 2.2). The default is a token that is
/// good for nothing, of which nothing more is said. Times are in seconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Introspection {
    /// Whether the token is good for what follows.
    pub active: bool,
    /// Space-separated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The client or API key behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The same: nobody else stands behind a client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// Always `Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// Who issued it; of access tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Whom it is for; of access tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// Its own name; of access tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
}

/// What the authorization server can do (RFC 8414, section 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    /// `iss` of its tokens, and what its addresses begin with.
    pub issuer: String,
    /// Where tokens are issued.
    pub token_endpoint: String,
    /// Where it is said what a token is good for.
    pub introspection_endpoint: String,
    /// Where tokens are ended.
    pub revocation_endpoint: String,
    /// Where the keys are that verify access tokens.
    pub jwks_uri: String,
    /// Scopes that a client may have.
    pub scopes_supported: Vec<String>,
    /// None: there is no authorization endpoint. The member is required all the same.
    pub response_types_supported: Vec<String>,
    /// How a token can be got.
    pub grant_types_supported: Vec<String>,
    /// How a client says who it is.
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// Algorithms of its assertions.
    pub token_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// As at the token endpoint.
    pub introspection_endpoint_auth_methods_supported: Vec<String>,
    /// As at the token endpoint.
    pub introspection_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// As at the token endpoint.
    pub revocation_endpoint_auth_methods_supported: Vec<String>,
    /// As at the token endpoint.
    pub revocation_endpoint_auth_signing_alg_values_supported: Vec<String>,
}

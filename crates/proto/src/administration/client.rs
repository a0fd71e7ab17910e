//! OAuth2 clients.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patch::removable;
use crate::id::{ModelId, TenantId};
use crate::identity::Scopes;

/// A client, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The models it may know of and ask; `null`: all.
    pub models: Option<Vec<ModelId>>,
    /// How it says who it is at the token endpoint.
    pub method: ClientMethod,
    /// Whether it may sign bearers itself with its secret.
    pub self_signed_bearer: bool,
    /// Whether its assertions may be as older libraries make them: with the token endpoint as
    /// audience, and a life of an hour in place of five minutes.
    pub token_endpoint_audience: bool,
    /// The public keys of [`ClientMethod::PrivateKeyJwt`], as a JWK set (RFC 7517, section 5).
    pub jwks: Option<serde_json::Value>,
    /// Its live secrets.
    pub secrets: Vec<ClientSecret>,
    /// When it was made.
    pub created_at: i64,
    /// When it was switched off.
    pub disabled_at: Option<i64>,
    /// When it ends.
    pub expires_at: Option<i64>,
}

/// How a client says who it is at the token endpoint; it has one way and no other (RFC 7591,
/// section 2, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientMethod {
    /// By its secret, in the header or in the body.
    #[default]
    ClientSecret,
    /// By a JWT under its secret.
    ClientSecretJwt,
    /// By a JWT under a key of its own.
    PrivateKeyJwt,
}

impl ClientMethod {
    /// Every method.
    pub const ALL: [Self; 3] = [
        Self::ClientSecret,
        Self::ClientSecretJwt,
        Self::PrivateKeyJwt,
    ];

    /// Its name, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecret => "client_secret",
            Self::ClientSecretJwt => "client_secret_jwt",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The method of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// A secret of a client, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientSecret {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created_at: i64,
    /// When it ends.
    pub expires_at: Option<i64>,
}

/// A client to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it; 1 to 200 characters.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// What it may do; at least one.
    #[schemars(length(min = 1))]
    pub scopes: Scopes,
    /// The models it may know of and ask; absent: all.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100), inner(regex(pattern = r"^[!-~]{1,200}$")))]
    pub models: Option<Vec<ModelId>>,
    /// How it says who it is at the token endpoint.
    #[serde(default)]
    pub method: ClientMethod,
    /// Whether it may sign bearers itself with its secret.
    #[serde(default)]
    pub self_signed_bearer: bool,
    /// Whether its assertions may be as older libraries make them, with the token endpoint as
    /// audience and a life of an hour.
    #[serde(default)]
    pub token_endpoint_audience: bool,
    /// Public keys, for [`ClientMethod::PrivateKeyJwt`] and no other.
    #[serde(default)]
    #[schemars(extend("type" = ["object", "null"]))]
    pub jwks: Option<serde_json::Value>,
    /// When it ends.
    #[serde(default)]
    #[schemars(range(min = 0, max = 253_402_300_799_i64))]
    pub expires_at: Option<i64>,
}

/// Changes to a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientPatch {
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// What it may do; at least one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub scopes: Option<Scopes>,
    /// The models it may know of and ask.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "removable"
    )]
    #[schemars(length(min = 1, max = 100), inner(regex(pattern = r"^[!-~]{1,200}$")))]
    pub models: Option<Option<Vec<ModelId>>>,
    /// `false` ends its self-signed bearers; they can be switched on when a client is made alone,
    /// since a secret that is only hashed cannot verify a signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_signed_bearer: Option<bool>,
    /// Whether its assertions may be as older libraries make them, with the token endpoint as
    /// audience and a life of an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_audience: Option<bool>,
    /// Public keys in place of those it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("type" = ["object", "null"]))]
    pub jwks: Option<serde_json::Value>,
    /// Whether it is switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// When it ends.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "removable"
    )]
    #[schemars(range(min = 0, max = 253_402_300_799_i64))]
    pub expires_at: Option<Option<i64>>,
}

/// A client secret to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewClientSecret {
    /// When it ends.
    #[schemars(range(min = 0, max = 253_402_300_799_i64))]
    pub expires_at: Option<i64>,
}

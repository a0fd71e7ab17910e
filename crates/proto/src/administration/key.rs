//! API keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patch::removable;
use crate::id::{ModelId, TenantId};
use crate::identity::Scopes;

/// An API key, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKey {
    /// The public part of its text.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The models it may know of and ask; `null`: all.
    pub models: Option<Vec<ModelId>>,
    /// When it was made.
    pub created_at: i64,
    /// When it was switched off.
    pub disabled_at: Option<i64>,
    /// When it ends.
    pub expires_at: Option<i64>,
}

/// An API key to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
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
    /// When it ends.
    #[serde(default)]
    #[schemars(range(min = 0, max = 253_402_300_799_i64))]
    pub expires_at: Option<i64>,
}

/// Changes to an API key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKeyPatch {
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

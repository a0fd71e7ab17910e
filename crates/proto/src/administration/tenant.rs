//! Tenants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patch::removable;
use crate::id::TenantId;

/// A customer of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tenant {
    /// Its id, chosen by the operator.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was switched off, with all that belongs to it.
    pub disabled_at: Option<i64>,
    /// When it ends.
    pub expires_at: Option<i64>,
}

/// A tenant to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`.
    #[schemars(regex(pattern = r"^[a-z0-9._-]{1,64}$"))]
    pub id: TenantId,
    /// What people call it; 1 to 200 characters.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// When it ends.
    #[serde(default)]
    #[schemars(range(min = 0, max = 253_402_300_799_i64))]
    pub expires_at: Option<i64>,
}

/// Changes to a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TenantPatch {
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
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

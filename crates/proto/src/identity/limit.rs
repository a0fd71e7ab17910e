//! How much an identity may use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ModelId, TenantId};

/// Limits on what a target uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Whose use is counted.
    pub target: LimitTarget,
    /// How much it may be.
    pub limits: Limits,
}

/// Whose use a limit counts: all of a tenant's, or one client's or key's, of one model or of all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitTarget {
    /// The tenant.
    pub tenant: TenantId,
    /// One of its clients or API keys; absent: all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// One model; absent: all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[!-~]{1,200}$"))]
    pub model: Option<ModelId>,
}

/// Amounts; what is absent is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_requests: Option<u32>,
    /// Requests begun within a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Tokens, of prompts and answers together, within a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Spending within a day (UTC), in millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_micro_usd_per_day: Option<u64>,
    /// Spending within a calendar month (UTC), in millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_micro_usd_per_month: Option<u64>,
}

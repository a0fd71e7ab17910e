//! The audit log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::TenantId;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Place in the log, from 1, without gaps.
    pub position: i64,
    /// When it was made.
    pub at: i64,
    /// Who made it: `key:<id>`, `client:<id>`, `operator:<user>` of the command line, or `system`.
    pub actor: String,
    /// What was done, for example `key.create`.
    pub action: String,
    /// Tenant of the target.
    pub tenant: Option<TenantId>,
    /// Id of what was changed.
    pub target: String,
    /// The change, without any secret.
    pub details: serde_json::Value,
}

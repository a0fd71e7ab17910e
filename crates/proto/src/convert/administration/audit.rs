//! The audit log.

use super::json;
use crate::Error;
use crate::administration::AuditEntry;
use crate::pb::auth as pb;

impl From<AuditEntry> for pb::AuditEntry {
    fn from(entry: AuditEntry) -> Self {
        Self {
            position: entry.position,
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            tenant_id: entry.tenant.map(|tenant| tenant.to_string()),
            target: entry.target,
            details: entry.details.to_string(),
        }
    }
}

impl TryFrom<pb::AuditEntry> for AuditEntry {
    type Error = Error;

    fn try_from(message: pb::AuditEntry) -> Result<Self, Error> {
        Ok(Self {
            position: message.position,
            at: message.at,
            actor: message.actor,
            action: message.action,
            tenant: message.tenant_id.map(Into::into),
            target: message.target,
            details: json("details", &message.details)?,
        })
    }
}

//! The audit log: a row for each change, each sealed with a hash over itself and the one before.

use fathom_proto::administration::{AuditEntry, AuditPage};
use fathom_proto::id::TenantId;

use crate::administration::check;
use crate::change::{Actor, Entry};
use crate::keyring::{KeyRing, Mac};
use crate::{Auth, Error};

mod fault;
mod head;
mod verify;

pub use fault::AuditFault;
pub(crate) use head::HeadKeeper;
pub use head::SignedHead;
pub use verify::VerifiedAudit;

/// A row of the log.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub position: i64,
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub tenant: Option<TenantId>,
    pub target: String,
    /// JSON.
    pub details: String,
    pub mac: Mac,
}

impl Auth {
    /// The log after a position, the oldest row first.
    ///
    /// # Errors
    /// [`Error::InvalidField`] of the page.
    pub async fn audit(&self, page: AuditPage) -> Result<Vec<AuditEntry>, Error> {
        let limit = check::page_limit(page.limit())?;
        let rows = self.inner.store.audit_rows(page.after, limit).await?;
        rows.into_iter().map(Row::entry).collect()
    }
}

impl Row {
    /// The row of a change that follows the row with `previous_mac`.
    pub(crate) fn seal(
        key_ring: &KeyRing,
        previous_mac: &str,
        position: i64,
        at: i64,
        actor: &Actor,
        entry: Entry,
    ) -> Self {
        let mut row = Self {
            position,
            at,
            actor: actor.to_string(),
            action: entry.action.to_owned(),
            tenant: entry.tenant,
            target: entry.target,
            details: entry.details.to_string(),
            mac: Mac {
                key_id: String::new(),
                text: String::new(),
            },
        };
        row.mac = key_ring.audit_mac(&row.message(previous_mac));
        row
    }

    /// Whether the row is as it was written, after the row with `previous_mac`.
    pub(crate) fn follows(&self, key_ring: &KeyRing, previous_mac: &str) -> bool {
        key_ring.verify_audit(&self.message(previous_mac), &self.mac)
    }

    fn entry(self) -> Result<AuditEntry, Error> {
        let details = serde_json::from_str(&self.details).map_err(|_| Error::InvalidRow {
            table: "audit_log",
            column: "details",
            row: self.position.to_string(),
        })?;
        Ok(AuditEntry {
            position: self.position,
            at: self.at,
            actor: self.actor,
            action: self.action,
            tenant: self.tenant,
            target: self.target,
            details,
        })
    }

    fn message(&self, previous_mac: &str) -> Vec<u8> {
        let (position, at) = (self.position.to_string(), self.at.to_string());
        let tenant = self.tenant.as_ref().map_or("", TenantId::as_str);
        message(&[
            previous_mac,
            &position,
            &at,
            &self.actor,
            &self.action,
            tenant,
            &self.target,
            &self.details,
        ])
    }
}

/// What is hashed: every field with its length before it, so that no two messages are alike.
fn message(fields: &[&str]) -> Vec<u8> {
    let mut message = Vec::new();
    for field in fields {
        message.extend_from_slice(&(field.len() as u64).to_be_bytes());
        message.extend_from_slice(field.as_bytes());
    }
    message
}

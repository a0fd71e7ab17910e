//! The audit log: a row for each change, each sealed with a hash over itself and the one before.

use fathom_proto::id::TenantId;
use sqlx::AnyConnection;

use crate::Error;
use crate::change::{Actor, Entry};
use crate::keyring::{KeyRing, Mac};

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

    /// What is hashed: every field with its length before it, so that no two rows are alike.
    fn message(&self, previous_mac: &str) -> Vec<u8> {
        let (position, at) = (self.position.to_string(), self.at.to_string());
        let tenant = self.tenant.as_ref().map_or("", TenantId::as_str);
        let mut message = Vec::new();
        for field in [
            previous_mac,
            &position,
            &at,
            &self.actor,
            &self.action,
            tenant,
            &self.target,
            &self.details,
        ] {
            message.extend_from_slice(&(field.len() as u64).to_be_bytes());
            message.extend_from_slice(field.as_bytes());
        }
        message
    }

    pub(crate) async fn insert(&self, connection: &mut AnyConnection) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO audit_log \
                 (position, at, actor, action, tenant_id, target, details, key_id, mac) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(self.position)
        .bind(self.at)
        .bind(&self.actor)
        .bind(&self.action)
        .bind(self.tenant.as_ref().map(TenantId::as_str))
        .bind(&self.target)
        .bind(&self.details)
        .bind(&self.mac.key_id)
        .bind(&self.mac.text)
        .execute(connection)
        .await?;
        Ok(())
    }
}

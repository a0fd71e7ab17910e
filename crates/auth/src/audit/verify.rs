//! Checking the whole audit log.

use super::{AuditFault, Row, SignedHead};
use crate::store::Head;
use crate::{Auth, Error};

/// Rows read at once.
const BATCH: i64 = 1_000;

/// An audit log that is as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedAudit {
    /// How many rows it has.
    pub rows: i64,
    /// Position of the signed end that it goes beyond or ends with. Without one, a log whose end
    /// was cut off, or a database restored from an older state, cannot be told from a whole one.
    pub signed: Option<i64>,
}

impl Auth {
    /// Checks every row of the audit log, and that it goes on from `signed`, its end as it was
    /// signed outside the database.
    ///
    /// # Errors
    /// [`Error::BrokenAudit`] names the first bad row.
    pub async fn verify_audit(&self, signed: Option<&SignedHead>) -> Result<VerifiedAudit, Error> {
        // Read before the rows: others may go on writing, and then more rows follow it.
        let head = self.inner.store.audit_head().await?;
        let mut last = Head::default();
        loop {
            let rows = self.inner.store.audit_rows(last.position, BATCH).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                self.check_row(&last, &row)?;
                last = Head {
                    position: row.position,
                    mac: row.mac.text,
                };
                if last.position == head.position && last.mac != head.mac {
                    return broken(last.position, AuditFault::OtherEnd);
                }
                if signed.is_some_and(|s| s.position == last.position && s.mac != last.mac) {
                    return broken(last.position, AuditFault::OtherThanSigned);
                }
            }
        }
        if last.position < head.position {
            return broken(last.position + 1, AuditFault::CutOff);
        }
        if signed.is_some_and(|signed| last.position < signed.position) {
            return broken(last.position + 1, AuditFault::BeforeSignedEnd);
        }
        Ok(VerifiedAudit {
            rows: last.position,
            signed: signed.map(|signed| signed.position),
        })
    }

    fn check_row(&self, last: &Head, row: &Row) -> Result<(), Error> {
        let key_ring = &self.inner.key_ring;
        let expected = last.position + 1;
        if row.position != expected {
            return broken(expected, AuditFault::Missing);
        }
        if !key_ring.has_audit_key(&row.mac.key_id) {
            return broken(expected, AuditFault::UnknownKey);
        }
        if !row.follows(key_ring, &last.mac) {
            return broken(expected, AuditFault::Altered);
        }
        Ok(())
    }
}

fn broken<T>(position: i64, fault: AuditFault) -> Result<T, Error> {
    Err(Error::BrokenAudit { position, fault })
}

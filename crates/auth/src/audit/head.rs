//! The end of the audit log, signed and kept outside the database, where cutting rows off does
//! not reach it.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::message;
use crate::keyring::{KeyRing, Mac};
use crate::store::Head;
use crate::{Auth, Error, clock, private_file};

/// How often the end may be written to the log of the process, whose lines are another copy.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// First field of what is signed; that of a row is a hash or empty, so neither passes for the
/// other.
const PURPOSE: &str = "fathom audit head";

/// The end of the audit log at some time, under an audit key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHead {
    /// Position of the last row.
    pub position: i64,
    /// Its hash.
    pub mac: String,
    /// When it was signed, in seconds since the epoch.
    pub at: i64,
    /// The audit key.
    pub key_id: String,
    /// HMAC-SHA-256 of the other fields.
    pub signature: String,
}

impl SignedHead {
    fn sign(key_ring: &KeyRing, head: Head, at: i64) -> Self {
        let Head { position, mac } = head;
        let signature = key_ring.audit_mac(&signed_message(position, &mac, at));
        Self {
            position,
            mac,
            at,
            key_id: signature.key_id,
            signature: signature.text,
        }
    }

    fn holds(&self, key_ring: &KeyRing) -> bool {
        let signature = Mac {
            key_id: self.key_id.clone(),
            text: self.signature.clone(),
        };
        let message = signed_message(self.position, &self.mac, self.at);
        key_ring.verify_audit(&message, &signature)
    }
}

fn signed_message(position: i64, mac: &str, at: i64) -> Vec<u8> {
    message(&[PURPOSE, &position.to_string(), mac, &at.to_string()])
}

impl Auth {
    /// The signed end in the file at `path`; `None` when there is no such file.
    ///
    /// # Errors
    /// [`Error::InvalidAuditHead`] when it is not signed by this key ring.
    pub async fn signed_head(&self, path: &Path) -> Result<Option<SignedHead>, Error> {
        let Some(text) = private_file::read(path).await? else {
            return Ok(None);
        };
        serde_json::from_str(text.expose_secret())
            .ok()
            .filter(|head: &SignedHead| head.holds(&self.inner.key_ring))
            .map(Some)
            .ok_or_else(|| Error::InvalidAuditHead {
                path: path.to_owned(),
            })
    }
}

/// Keeps the file of the signed end in step with the log.
#[derive(Debug, Default)]
pub(crate) struct HeadKeeper {
    written: Option<Head>,
    logged: Option<(i64, Instant)>,
    /// Whether the operator has been told that the log is not the one that was signed.
    alarmed: bool,
}

impl HeadKeeper {
    /// Signs the log's end if it has moved. A file that the log does not go on from stays as it
    /// is: it is the evidence.
    pub(crate) async fn keep(&mut self, auth: &Auth) -> Result<(), Error> {
        let head = auth.inner.store.audit_head().await?;
        self.log(&head);
        if head.position == 0 || self.written.as_ref() == Some(&head) {
            return Ok(());
        }
        let path = &auth.inner.config.audit_head;
        let _lock = private_file::lock(path).await?;
        if let Some(former) = auth.signed_head(path).await? {
            let found = auth.inner.store.audit_mac(former.position).await?;
            if found.as_ref() != Some(&former.mac) {
                self.alarm(&head, &former);
                return Ok(());
            }
            // Another process over the same file was faster.
            if former.position >= head.position {
                self.written = Some(head);
                return Ok(());
            }
        }
        let signed = SignedHead::sign(&auth.inner.key_ring, head.clone(), clock::now());
        let text = serde_json::to_string_pretty(&signed).map_err(|_| Error::Cryptography)?;
        private_file::replace(path, &text.into()).await?;
        self.written = Some(head);
        self.alarmed = false;
        Ok(())
    }

    fn log(&mut self, head: &Head) {
        let due = self
            .logged
            .is_none_or(|(position, at)| position != head.position && at.elapsed() >= LOG_INTERVAL);
        if due {
            self.logged = Some((head.position, Instant::now()));
            tracing::info!(
                audit.position = head.position,
                audit.mac = head.mac,
                "end of the audit log"
            );
        }
    }

    fn alarm(&mut self, head: &Head, signed: &SignedHead) {
        if std::mem::replace(&mut self.alarmed, true) {
            return;
        }
        let (position, signed) = (head.position, signed.position);
        if position < signed {
            tracing::error!(
                position,
                signed,
                "the database is older than its signed audit head"
            );
        } else {
            tracing::error!(
                position,
                signed,
                "the audit log does not hold the row of its signed head; run: fathom audit verify"
            );
        }
    }
}

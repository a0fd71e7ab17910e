//! `fathom admin audit` and `fathom audit`

use std::path::Path;

use anyhow::bail;
use clap::Subcommand;
use fathom_auth::KeyRingSource;
use fathom_proto::administration::{AuditEntry, AuditPage};

use super::Session;
use super::output::{Output, Tabular, note, time};
use crate::{Config, roles};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List changes, the oldest first.
    List {
        /// Changes after this position.
        #[arg(long, value_name = "POSITION", default_value_t = 0)]
        after: i64,
        /// How many, 1 to 1000.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
}

impl Command {
    pub(super) async fn run(self, Session { auth, output, .. }: &Session) -> anyhow::Result<()> {
        let Self::List { after, limit } = self;
        let limit = Some(limit);
        output.list(&auth.audit(AuditPage { after, limit }).await?)
    }
}

/// Checks the whole log, and that it goes on from the signed end in the file `head`; by default
/// the one that the service keeps.
///
/// # Errors
/// The first bad row, or a file that is no signed end of this log.
pub async fn verify(config: &Config, head: Option<&Path>) -> anyhow::Result<()> {
    // Opening would make a new one, and find its empty log in order.
    if let KeyRingSource::File(path) = &config.auth.key_ring
        && !path.exists()
    {
        let path = path.display();
        bail!("there is no key ring at {path}, so no log under it; see FATHOM_HOME and --config");
    }
    let auth = roles::attach_auth(&config.auth).await?;
    let path = head.unwrap_or(&config.auth.audit_head);
    let signed = auth.signed_head(path).await?;
    if signed.is_none() {
        let path = path.display();
        if head.is_some() {
            bail!("--head: there is no file {path}");
        }
        note(&format!(
            "there is no signed end at {path}: rows that were cut off cannot be missed"
        ))?;
    }
    let verified = auth.verify_audit(signed.as_ref()).await?;
    let signed = match verified.signed {
        Some(position) => format!(", and goes on from its signed end at {position}"),
        None => String::new(),
    };
    let rows = verified.rows;
    let output = Output { json: false };
    output.done(&format!("the audit log is whole: {rows} rows{signed}"))
}

impl Tabular for AuditEntry {
    const HEADINGS: &[&str] = &[
        "position", "at", "actor", "action", "tenant", "target", "details",
    ];

    fn cells(&self) -> Vec<String> {
        let tenant = self.tenant.as_ref().map(ToString::to_string);
        vec![
            self.position.to_string(),
            time(self.at),
            self.actor.clone(),
            self.action.clone(),
            tenant.unwrap_or_else(|| "-".to_owned()),
            self.target.clone(),
            self.details.to_string(),
        ]
    }
}

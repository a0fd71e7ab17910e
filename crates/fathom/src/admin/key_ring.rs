//! `fathom admin key-ring` and `fathom admin rewrap`

use std::path::Path;

use anyhow::bail;
use clap::{Subcommand, ValueEnum};
use fathom_auth::keyring::{self, KeyRingSource};

use super::Session;
use super::output::Tabular;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Put a new key in front of a list; servers use it within a second.
    Add {
        /// The list.
        list: List,
    },
    /// Take a key away for ever, if nothing stored needs it.
    Remove {
        /// The key.
        id: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum List {
    /// Keys that seal what must be read again.
    Master,
    /// Keys that hash API keys.
    Pepper,
}

impl Command {
    pub(super) async fn run(
        self,
        Session { auth, output, .. }: &Session,
        source: &KeyRingSource,
    ) -> anyhow::Result<()> {
        let path = file(source)?;
        match self {
            Self::Add { list } => {
                let list = match list {
                    List::Master => keyring::List::Master,
                    List::Pepper => keyring::List::Pepper,
                };
                let id = keyring::prepend(path, list).await?;
                output.one(&Added { id })
            }
            Self::Remove { id } => {
                let in_use = auth.key_ids_in_use().await?;
                keyring::remove(path, &id, &in_use).await?;
                output.done("the key is gone")
            }
        }
    }
}

/// Seals stored secrets anew under the first master key.
pub(super) async fn rewrap(session: &Session) -> anyhow::Result<()> {
    let Session {
        auth,
        actor,
        output,
    } = session;
    output.one(&auth.rewrap(actor).await?)
}

fn file(source: &KeyRingSource) -> anyhow::Result<&Path> {
    match source {
        KeyRingSource::File(path) => Ok(path),
        KeyRingSource::Environment(name) => {
            bail!("the key ring is in the variable {name}; change it where that is set")
        }
    }
}

/// A key that was put in front.
#[derive(serde::Serialize)]
struct Added {
    id: String,
}

impl Tabular for Added {
    const HEADINGS: &[&str] = &["id"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.clone()]
    }
}

impl Tabular for fathom_auth::Rewrapped {
    const HEADINGS: &[&str] = &["client secrets", "signing keys", "api keys on old peppers"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.client_secrets.to_string(),
            self.signing_keys.to_string(),
            self.api_keys_on_old_peppers.to_string(),
        ]
    }
}

//! `fathom admin signing-keys`

use clap::Subcommand;
use fathom_proto::administration::{SigningKey, SigningKeyState};

use super::Session;
use super::output::{Tabular, time};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List them, the newest first.
    List,
    /// Make a key that signs once every verifier has had the time to learn of it.
    Rotate,
    /// End a key at once, and with it every token that it signed.
    Retire {
        /// The key, as `list` shows it.
        kid: String,
    },
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let Session {
            auth,
            actor,
            output,
        } = session;
        match self {
            Self::List => output.list(&auth.signing_keys().await?),
            Self::Rotate => output.one(&auth.rotate_signing_key(actor).await?),
            Self::Retire { kid } => output.one(&auth.retire_signing_key(actor, &kid).await?),
        }
    }
}

impl Tabular for SigningKey {
    const HEADINGS: &[&str] = &[
        "kid",
        "algorithm",
        "state",
        "created",
        "signs from",
        "retired",
    ];

    fn cells(&self) -> Vec<String> {
        let state = match self.state {
            SigningKeyState::Published => "published",
            SigningKeyState::Signing => "signing",
            SigningKeyState::Verifying => "verifying",
            SigningKeyState::Retired => "retired",
        };
        vec![
            self.kid.clone(),
            self.algorithm.clone(),
            state.to_owned(),
            time(self.created_at),
            time(self.signs_from),
            time(self.retired_at),
        ]
    }
}

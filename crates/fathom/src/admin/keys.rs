//! `fathom admin keys`

use clap::Subcommand;
use fathom_proto::administration::{ApiKey, ApiKeyPatch, NewApiKey};
use fathom_proto::id::TenantId;

use super::Session;
use super::arguments::{Access, AccessChange, Expiry, ExpiryChange, OfTenant, Switch, all};
use super::output::{Tabular, names, state, time};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an API key and show its text, this once.
    Create {
        /// Whose it is.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// What people call it.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        access: Access,
        #[command(flatten)]
        expiry: Expiry,
    },
    /// List them, without their texts.
    List(OfTenant),
    /// Show one, without its text.
    Show {
        /// The key.
        id: String,
    },
    /// Change one; what is not named stays.
    Update {
        /// The key.
        id: String,
        /// What people call it.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        access: AccessChange,
        #[command(flatten)]
        switch: Switch,
        #[command(flatten)]
        expiry: ExpiryChange,
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
            Self::Create {
                tenant,
                name,
                access,
                expiry,
            } => {
                let key = NewApiKey {
                    tenant,
                    name,
                    scopes: access.scopes(),
                    models: access.models(),
                    expires_at: expiry.time(),
                };
                output.made(&auth.create_key(actor, key).await?)
            }
            Self::List(OfTenant { tenant }) => {
                let part = async |page| auth.keys(tenant.clone(), page).await;
                output.list(&all(part, |key| &key.id).await?)
            }
            Self::Show { id } => output.one(&auth.key(&id).await?),
            Self::Update {
                id,
                name,
                access,
                switch,
                expiry,
            } => {
                let patch = ApiKeyPatch {
                    name,
                    scopes: access.scopes(),
                    models: access.models(),
                    disabled: switch.disabled(),
                    expires_at: expiry.change(),
                };
                output.one(&auth.update_key(actor, &id, patch).await?)
            }
        }
    }
}

impl Tabular for ApiKey {
    const HEADINGS: &[&str] = &[
        "id", "tenant", "name", "scopes", "models", "state", "created", "expires",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.tenant.to_string(),
            self.name.clone(),
            self.scopes.to_string(),
            names(self.models.as_deref()),
            state(self.disabled_at),
            time(self.created_at),
            time(self.expires_at),
        ]
    }
}

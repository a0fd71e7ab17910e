//! `fathom admin tenants`

use clap::Subcommand;
use fathom_proto::administration::{NewTenant, Tenant, TenantPatch};
use fathom_proto::id::TenantId;

use super::Session;
use super::arguments::{Expiry, ExpiryChange, Switch, all};
use super::output::{Tabular, state, time};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a tenant.
    Create {
        /// 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`.
        id: TenantId,
        /// What people call it.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        expiry: Expiry,
    },
    /// List all of them.
    List,
    /// Show one.
    Show {
        /// The tenant.
        id: String,
    },
    /// Change one; what is not named stays.
    Update {
        /// The tenant.
        id: String,
        /// What people call it.
        #[arg(long)]
        name: Option<String>,
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
            Self::Create { id, name, expiry } => {
                let expires_at = expiry.time();
                let tenant = NewTenant {
                    id,
                    name,
                    expires_at,
                };
                output.one(&auth.create_tenant(actor, tenant).await?)
            }
            Self::List => {
                let tenants = all(
                    async |page| auth.tenants(page).await,
                    |tenant| tenant.id.as_str(),
                );
                output.list(&tenants.await?)
            }
            Self::Show { id } => output.one(&auth.tenant(&id).await?),
            Self::Update {
                id,
                name,
                switch,
                expiry,
            } => {
                let patch = TenantPatch {
                    name,
                    disabled: switch.disabled(),
                    expires_at: expiry.change(),
                };
                output.one(&auth.update_tenant(actor, &id, patch).await?)
            }
        }
    }
}

impl Tabular for Tenant {
    const HEADINGS: &[&str] = &["id", "name", "state", "created", "expires"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.name.clone(),
            state(self.disabled_at),
            time(self.created_at),
            time(self.expires_at),
        ]
    }
}

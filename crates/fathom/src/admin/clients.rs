//! `fathom admin clients`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use fathom_proto::administration::{
    Client, ClientMethod, ClientPatch, ClientSecret, NewClient, NewClientSecret,
};
use fathom_proto::id::TenantId;

use super::Session;
use super::arguments::{Access, AccessChange, Expiry, ExpiryChange, OfTenant, Switch, all, jwks};
use super::output::{Tabular, names, state, time};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a client and show its first secret, this once.
    Create(Create),
    /// List them, without their secrets.
    List(OfTenant),
    /// Show one, without its secrets.
    Show {
        /// The client.
        id: String,
    },
    /// Change one; what is not named stays.
    Update(Update),
    /// Give one another secret, and show it this once; the others stay as they are.
    AddSecret {
        /// The client.
        id: String,
        #[command(flatten)]
        expiry: Expiry,
    },
    /// End a secret at once.
    RemoveSecret {
        /// The client.
        id: String,
        /// The secret's id, as `show` lists it.
        secret: String,
    },
}

#[derive(Args, Debug)]
pub struct Create {
    /// Whose it is.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// What people call it.
    #[arg(long)]
    name: String,
    #[command(flatten)]
    access: Access,
    /// How it says who it is at the token endpoint.
    #[arg(long, value_enum, default_value = "client_secret")]
    method: Method,
    /// Let it sign bearers itself with its secret.
    #[arg(long)]
    self_signed_bearer: bool,
    /// Let its assertions name the token endpoint as audience, as older libraries do.
    #[arg(long)]
    token_endpoint_audience: bool,
    /// Its public keys, a file with a JWK set; for `private_key_jwt`.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    #[command(flatten)]
    expiry: Expiry,
}

#[derive(Args, Debug)]
pub struct Update {
    /// The client.
    id: String,
    /// What people call it.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    access: AccessChange,
    /// `false` ends its self-signed bearers, for good.
    #[arg(long, value_name = "BOOL")]
    self_signed_bearer: Option<bool>,
    /// Whether its assertions may name the token endpoint as audience.
    #[arg(long, value_name = "BOOL")]
    token_endpoint_audience: Option<bool>,
    /// Public keys in place of those it had, a file with a JWK set.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    #[command(flatten)]
    switch: Switch,
    #[command(flatten)]
    expiry: ExpiryChange,
}

/// The names of RFC 7591, with both ways of sending a secret in one.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Method {
    /// By its secret, in the header or in the body.
    ClientSecret,
    /// By a JWT under its secret.
    ClientSecretJwt,
    /// By a JWT under a key of its own.
    PrivateKeyJwt,
}

impl From<Method> for ClientMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::ClientSecret => Self::ClientSecret,
            Method::ClientSecretJwt => Self::ClientSecretJwt,
            Method::PrivateKeyJwt => Self::PrivateKeyJwt,
        }
    }
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let Session {
            auth,
            actor,
            output,
        } = session;
        match self {
            Self::Create(new) => {
                let client = new.client()?;
                output.made(&auth.create_client(actor, client).await?)
            }
            Self::List(OfTenant { tenant }) => {
                let part = async |page| auth.clients(tenant.clone(), page).await;
                output.list(&all(part, |client| &client.id).await?)
            }
            Self::Show { id } => {
                let client = auth.client(&id).await?;
                output.one(&client)?;
                // JSON holds them already.
                if output.json {
                    return Ok(());
                }
                output.list(&client.secrets)
            }
            Self::Update(update) => {
                let (id, patch) = update.patch()?;
                output.one(&auth.update_client(actor, &id, patch).await?)
            }
            Self::AddSecret { id, expiry } => {
                let expires_at = expiry.time();
                let secret = NewClientSecret { expires_at };
                output.made(&auth.add_client_secret(actor, &id, secret).await?)
            }
            Self::RemoveSecret { id, secret } => {
                auth.remove_client_secret(actor, &id, &secret).await?;
                output.done("the secret has ended")
            }
        }
    }
}

impl Create {
    fn client(self) -> anyhow::Result<NewClient> {
        Ok(NewClient {
            tenant: self.tenant,
            name: self.name,
            scopes: self.access.scopes(),
            models: self.access.models(),
            method: self.method.into(),
            self_signed_bearer: self.self_signed_bearer,
            token_endpoint_audience: self.token_endpoint_audience,
            jwks: jwks(self.jwks)?,
            expires_at: self.expiry.time(),
        })
    }
}

impl Update {
    fn patch(self) -> anyhow::Result<(String, ClientPatch)> {
        let patch = ClientPatch {
            name: self.name,
            scopes: self.access.scopes(),
            models: self.access.models(),
            self_signed_bearer: self.self_signed_bearer,
            token_endpoint_audience: self.token_endpoint_audience,
            jwks: jwks(self.jwks)?,
            disabled: self.switch.disabled(),
            expires_at: self.expiry.change(),
        };
        Ok((self.id, patch))
    }
}

impl Tabular for Client {
    const HEADINGS: &[&str] = &[
        "id", "tenant", "name", "method", "scopes", "models", "state", "created", "expires",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.tenant.to_string(),
            self.name.clone(),
            self.method.as_str().to_owned(),
            self.scopes.to_string(),
            names(self.models.as_deref()),
            state(self.disabled_at),
            time(self.created_at),
            time(self.expires_at),
        ]
    }
}

impl Tabular for ClientSecret {
    const HEADINGS: &[&str] = &["secret id", "created", "expires"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            time(self.created_at),
            time(self.expires_at),
        ]
    }
}

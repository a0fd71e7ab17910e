//! `fathom admin`: changes identities in the database itself, under the key ring, as the user of
//! the machine. No server needs to run; those that do learn of a change by the audit log.

mod arguments;
mod audit;
mod clients;
mod key_ring;
mod keys;
mod limits;
pub(crate) mod operator;
pub(crate) mod output;
mod signing_keys;
mod tenants;

pub use audit::verify as verify_audit;

use clap::Subcommand;
use fathom_auth::{Actor, Auth};

use crate::{Config, roles};
use output::Output;

/// What can be changed.
#[derive(Debug, Subcommand)]
pub enum Resource {
    /// Customers of the platform.
    #[command(subcommand)]
    Tenants(tenants::Command),
    /// OAuth2 clients and their secrets.
    #[command(subcommand)]
    Clients(clients::Command),
    /// API keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// How much tenants, clients and keys may use.
    #[command(subcommand)]
    Limits(limits::Command),
    /// The keys that sign access tokens.
    #[command(subcommand)]
    SigningKeys(signing_keys::Command),
    /// What was changed, when and by whom.
    #[command(subcommand)]
    Audit(audit::Command),
    /// The keys outside the database.
    #[command(subcommand)]
    KeyRing(key_ring::Command),
    /// Seal stored secrets anew under the first master key.
    Rewrap,
}

/// Does it, and prints what came of it: for people, or as JSON.
///
/// # Errors
/// What is wrong with the request, or whatever keeps the database from being opened.
pub async fn run(resource: Resource, config: &Config, json: bool) -> anyhow::Result<()> {
    let session = Session {
        auth: roles::attach_auth(&config.auth).await?,
        actor: Actor::Operator(operator::name()?),
        output: Output { json },
    };
    match resource {
        Resource::Tenants(command) => command.run(&session).await,
        Resource::Clients(command) => command.run(&session).await,
        Resource::Keys(command) => command.run(&session).await,
        Resource::Limits(command) => command.run(&session).await,
        Resource::SigningKeys(command) => command.run(&session).await,
        Resource::Audit(command) => command.run(&session).await,
        Resource::KeyRing(command) => command.run(&session, &config.auth.key_ring).await,
        Resource::Rewrap => key_ring::rewrap(&session).await,
    }
}

/// What every command works with.
struct Session {
    auth: Auth,
    actor: Actor,
    output: Output,
}

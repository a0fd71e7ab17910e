//! The auth service owns identities: tenants, OAuth2 clients and their secrets, API keys, and the
//! keys that sign access tokens. It answers two ports, [`fathom_proto::identity::Identity`] and
//! [`fathom_proto::administration::Administration`].
//!
//! A secret is never stored in clear: API keys are kept as a keyed hash, everything that must be
//! read again is sealed, and both need a key ring that lies outside the database.
//!
//! # Layout
//!
//! - [`Auth`]: the service; `identity` and `administration` implement the ports on it
//! - `api_key`, `client`, `access_token`, `self_signed`: one module per kind of credential
//! - `introspection`, `revocation`: what clients ask of tokens
//! - `grant`: what an identity may do, and whether it still may
//! - `signing_key`: the keys behind access tokens
//! - `change`, `audit`: the one way to change anything, and its log
//! - `watch`: the log as those read it who keep answers of this service
//! - [`keyring`], `random`, `private_file`: cryptography and the files it keeps
//! - `store`: the tables; `purge` forgets what has ended
//! - [`demo`]: credentials to try the platform with
//! - [`config`], [`error`], [`metrics`]: what an operator sees

mod access_token;
mod administration;
mod api_key;
mod audit;
mod change;
mod client;
mod clock;
pub mod config;
pub mod demo;
pub mod error;
mod grant;
mod identity;
mod introspection;
pub mod keyring;
pub mod metrics;
mod private_file;
mod purge;
mod random;
mod revocation;
mod self_signed;
mod service;
mod signing_key;
mod store;
mod watch;

pub use administration::Rewrapped;
pub use audit::{AuditFault, SignedHead, VerifiedAudit};
pub use change::Actor;
pub use config::Config;
pub use error::{Error, Refusal};
pub use keyring::{KeyRing, KeyRingSource};
pub use service::Auth;

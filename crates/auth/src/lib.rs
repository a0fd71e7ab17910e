//! The auth service owns identities: tenants, OAuth2 clients and their secrets, API keys, and the
//! keys that sign access tokens. It answers one port, [`fathom_proto::identity::Identity`].
//!
//! A secret is never stored in clear: API keys are kept as a keyed hash, everything that must be
//! read again is sealed, and both need a key ring that lies outside the database.
//!
//! # Layout
//!
//! - [`Auth`]: the service; `identity` implements the port on it, `provision` makes identities
//! - `api_key`, `client`, `access_token`, `self_signed`: one module per kind of credential
//! - `grant`: what an identity may do, and whether it still may
//! - `signing_key`: the keys behind access tokens
//! - `keyring`, `random`, `private_file`: cryptography and the files it keeps
//! - `change`, `audit`: the one way to change anything, and its log
//! - `store`: the tables
//! - [`demo`]: credentials to try the platform with
//! - [`config`], [`error`], [`metrics`]: what an operator sees

mod access_token;
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
mod keyring;
pub mod metrics;
mod private_file;
mod provision;
mod random;
mod self_signed;
mod service;
mod signing_key;
mod store;

pub use change::Actor;
pub use config::Config;
pub use error::{Error, Refusal};
pub use keyring::KeyRing;
pub use provision::{ClientCredentials, NewApiKey, NewClient};
pub use service::Auth;

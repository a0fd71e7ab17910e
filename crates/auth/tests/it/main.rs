//! Promises of the identity service over a real database.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set up has failed"
)]

mod administration;
mod api_key;
mod assertion;
mod at_rest;
mod audit;
mod database_role;
mod demo;
mod forgery;
mod guessing;
mod harness;
mod introspection;
mod oauth;
mod revocation;
mod rotation;
mod self_signed;
mod signing_key;
mod token;
mod watch;

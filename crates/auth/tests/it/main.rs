//! Promises of the identity service over a real database.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod api_key;
mod at_rest;
mod demo;
mod forgery;
mod harness;
mod self_signed;
mod token;

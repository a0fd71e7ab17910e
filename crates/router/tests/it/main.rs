//! The router with a real database and workers that are fakes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod catalog;
mod dispatch;
mod harness;
mod models;
mod retry;

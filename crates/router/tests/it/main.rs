//! The router with a real database and workers that are fakes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod catalog;
mod continuation;
mod dispatch;
mod faulty;
mod harness;
mod models;
mod queue;
mod retry;

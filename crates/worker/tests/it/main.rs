//! The worker with the real default weights.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;
mod local;
mod sim;
mod upstream;
mod vectors;

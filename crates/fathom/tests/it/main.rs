//! The real binary, with the real model wherever an answer matters.
#![expect(
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and shows why"
)]

mod ask;
mod cancel;
mod configuration;
mod death;
mod examples;
mod harness;
mod models;
mod process;
mod restart;
mod secrecy;
mod shutdown;
mod text;
mod weights;

//! The real binary, with the real model wherever an answer matters.
#![expect(
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and shows why"
)]

mod admin;
mod ask;
mod cancel;
mod clients;
mod clock;
mod configuration;
mod death;
mod dialects;
mod engines;
mod examples;
mod experiments;
mod harness;
mod inspect;
mod model_versions;
mod models;
mod oauth_clients;
mod openai;
mod openapi;
mod process;
mod programs;
mod restart;
mod secrecy;
mod secrecy_of_identities;
mod shutdown;
mod text;
mod weights;

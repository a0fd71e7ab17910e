//! The worker: engines that turn prompts into text, each behind a queue of its own.
//!
//! It owns the weights on disk, what runs at a time and what waits. It knows no tenant and no
//! limit; the router finds it through what it announces.
//!
//! # Layout
//!
//! - [`Worker`] (`worker`): the service; implements the ports `Inference` and `Engines`
//!   - `serving`: which engine answers to which name
//!   - `loading`: makes engines of configuration
//!   - `guarded`: a stream that ends at its deadline and with the process
//!   - `tokens`: how many a request took
//! - [`Config`] (`config`): the table `[worker]`
//! - `engine`: what every engine does
//!   - `local`: weights in this process
//!   - `upstream`: another server that speaks OpenAI's API
//!   - `sim` ([`sim_script`]): text from a formula, for tests and load
//! - `admission`: how many run, how many wait and for how long
//! - [`store`]: weights on disk, fetched when absent
//! - [`announce`]: tells the routers that this worker is up
//! - [`Error`] (`error`), `metrics`

mod admission;
pub mod announce;
mod config;
mod engine;
mod error;
mod guarded;
mod loading;
pub mod metrics;
mod serving;
pub mod store;
mod tokens;
mod worker;

pub use config::{
    Config, EngineConfig, KeySource, LocalConfig, MaxTokensField, SimConfig, SimFault,
    SimFaultKind, UpstreamConfig,
};
pub use engine::sim::sim_script;
pub use engine::upstream::{Failure as UpstreamFailure, Reply as UpstreamReply, UpstreamError};
pub use error::{Error, PromptTokens};
pub use worker::Worker;

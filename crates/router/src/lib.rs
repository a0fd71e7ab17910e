//! The router: which models there are, which workers are up, and which of them serves a request.
//!
//! It owns the table of models and the registry of workers. It keeps no prompt and holds no
//! connection of a client: the gateway calls it, it calls workers, and every stream passes
//! through it.
//!
//! # Layout
//!
//! - [`Router`]: the service; implements the ports `Inference`, `Catalog`, `Registry` and
//!   `Models`
//! - [`Config`] (`config`): the table `[router]`
//! - [`ModelStore`] (`store`): models, their versions and the record of changes in the database
//!   - `rollout`: which version of a model answers whom, step by step
//! - `models`: the models as last read, kept in memory
//! - `choice`: what a request is answered with
//!   - `sticky`: which users a share of all is
//!   - `guard`: whether a version that is tried out does worse than the one before
//! - `administration`: the port `Models`
//! - `registry`: the workers that are up, their leases, and the choice of one for a request
//!   - `configured` ([`ConfiguredWorker`]): workers that are asked what they serve
//!   - `balance` ([`BalanceConfig`]): the policies of that choice
//!   - `affinity`: beginnings of prompts, and which workers have seen them
//!   - `connection`: one worker; `engine`: what one of its engines has to do
//!   - `health`, `breaker` ([`BreakerConfig`]): whether an engine that failed may be asked
//! - [`experiments`]: what is tried out on a part of the requests
//!   - `definition`, `parameters`: what an experiment is
//!   - `assignment`: which arm a request is in
//!   - `counts`: what its requests come to, until it is written
//!   - `store`: the tables
//!   - `report`, `sequential`: what came of it, and how sure that is
//!   - `place`, `outcome`: a place on a worker for one attempt, and how it ended
//! - `dispatch`: sends a request to a worker, and to others if that fails
//!   - `generation`: the events of one generation, whichever workers they come from
//!   - `attempt`: one worker's stream, watched until it ends
//!   - `attempts`: the workers that a request is tried on
//!   - `retry` ([`RetryConfig`]): whether and when it is tried again
//!   - `continuation`: what another worker needs to go on
//!   - `hedge`: a second attempt beside a slow one
//!   - `target`, `latency`: who waits for the workers of one name, and how fast these begin
//!   - `observation`: how a request goes, told once
//! - `admission` ([`QueueConfig`]): the line of those who wait for room
//! - `catalog`: the models with what serves them now
//! - [`Error`] (`error`), `metrics`; `bench`: what benchmarks reach

mod administration;
mod admission;
mod affinity;
mod balance;
#[doc(hidden)]
pub mod bench;
mod breaker;
mod catalog;
mod choice;
mod config;
mod configured;
mod connection;
mod dispatch;
mod engine;
mod error;
pub mod experiments;
mod guard;
mod health;
pub mod metrics;
mod models;
mod outcome;
mod place;
mod registry;
mod rollout;
mod router;
mod sticky;
mod store;

pub use admission::QueueConfig;
pub use balance::{BalanceConfig, Policy};
pub use breaker::BreakerConfig;
pub use config::Config;
pub use configured::ConfiguredWorker;
pub use dispatch::RetryConfig;
pub use error::Error;
pub use router::Router;
pub use store::ModelStore;

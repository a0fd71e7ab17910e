//! The router: which models there are, which workers are up, and which of them serves a request.
//!
//! It owns the table of models and the registry of workers. It reads no prompt and holds no
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
//! - `registry`: the workers that are up, their leases and connections
//!   - `connection`: one worker, and how many streams it runs
//!   - `place`, `outcome`: a place on a worker for one attempt, and how it ended
//! - `dispatch`: sends a request to the least loaded worker
//!   - `balance`: which one that is
//!   - `attempts`: the workers that it is tried on
//!   - `retry` ([`RetryConfig`]): whether and when it is tried again
//!   - `retried`: the stream of a generation that may begin again
//!   - `settled`: the worker's stream, watched until it ends
//! - `catalog`: the models with what serves them now
//! - [`Error`] (`error`), `metrics`

mod administration;
mod balance;
mod catalog;
mod choice;
mod config;
mod connection;
mod dispatch;
mod error;
mod guard;
pub mod metrics;
mod models;
mod outcome;
mod place;
mod registry;
mod rollout;
mod router;
mod settled;
mod sticky;
mod store;

pub use config::Config;
pub use dispatch::RetryConfig;
pub use error::Error;
pub use router::Router;
pub use store::ModelStore;

//! The router: which models there are, which workers are up, and which of them serves a request.
//!
//! It owns the table of models and the registry of workers. It reads no prompt and holds no
//! connection of a client: the gateway calls it, it calls workers, and every stream passes
//! through it.
//!
//! # Layout
//!
//! - [`Router`]: the service; implements the ports `Inference`, `Catalog` and `Registry`
//! - [`Config`] (`config`): the table `[router]`
//! - `models`: the rows of the model table, kept in memory
//! - `choice`: what a request is answered with
//! - [`experiments`]: what is tried out on a part of the requests
//!   - `definition`, `parameters`: what an experiment is
//!   - `assignment`: which arm a request is in
//!   - `counts`: what its requests come to, until it is written
//!   - `store`: the tables
//!   - `report`, `sequential`: what came of it, and how sure that is
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

mod balance;
mod catalog;
mod choice;
mod config;
mod connection;
mod dispatch;
mod error;
pub mod experiments;
pub mod metrics;
mod models;
mod outcome;
mod place;
mod registry;
mod router;
mod settled;

pub use config::Config;
pub use dispatch::RetryConfig;
pub use error::Error;
pub use router::Router;

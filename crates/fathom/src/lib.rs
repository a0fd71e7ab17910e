//! The binary `fathom`: reads the configuration and wires the services together. `up` wires them
//! in one process, a role on its own wires gRPC; the services do not know which. It has no domain
//! of its own.
//!
//! # Layout
//!
//! - [`cli`]: the command line, and what each command does
//! - [`config`]: `fathom.toml`, one table a role
//! - [`up`]: all services in one process, local engines in supervised children
//! - [`roles`]: one service in a process of its own
//! - [`ports`]: the open ports of a role, and serving on them
//! - [`supervisor`]: child processes that are started again when they die
//! - [`process`]: signals, and the order in which a process goes down
//! - `engine`: `fathom engine`, which changes what a running worker serves
//! - `model`: `fathom model`, which fetches and inspects model files
//! - `models`: `fathom models`, which changes models and their versions
//! - [`admin`]: `fathom admin` and `fathom audit`, which change and check identities
//! - `experiments`: `fathom experiments`, which makes, ends and reports experiments
//! - [`migrate`]: `fathom migrate`
//! - [`drill`]: `fathom drill`, which breaks a Fathom of processes and watches its clients
//! - [`banner`]: what a person sees when `up` is ready

pub mod admin;
pub mod banner;
pub mod cli;
pub mod config;
pub mod drill;
mod engine;
mod experiments;
pub mod migrate;
mod model;
mod models;
pub mod ports;
pub mod process;
pub mod roles;
pub mod supervisor;
pub mod up;

pub use config::Config;

//! A whole Fathom inside a test: [`Cluster::builder`] starts every role on ports of its own, in
//! one of two [`Wiring`]s, with deterministic engines. The tests of promises that need more than
//! one service live beside it, in `tests/it`.
//!
//! # Layout
//!
//! - [`Cluster`]: the roles, running
//! - [`eventually`]: waits for what must come true

mod cluster;
mod wait;

pub use cluster::{Builder, Cluster, DoomedWorker, Wiring};
pub use wait::eventually;

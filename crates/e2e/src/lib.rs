//! A whole Fathom inside a test: [`Cluster::builder`] starts every role on ports of its own, in
//! one of two [`Wiring`]s, with deterministic engines. The tests of promises that need more than
//! one service live beside it, in `tests/it`; those that kill something do it to processes
//! ([`fathom::drill::Fleet`]).
//!
//! # Layout
//!
//! - [`Cluster`]: the roles, running
//! - [`Chaos`]: a link between two processes that can go wrong, in the ways of [`Link`]
//! - [`eventually`]: waits for what must come true

mod chaos;
mod cluster;
mod wait;

pub use chaos::{Chaos, Link};
pub use cluster::{Builder, Cluster, DoomedWorker, Wiring};
pub use wait::eventually;

//! What the services of Fathom agree on: the ports between them, the types that cross, and the
//! one table of error codes. It has no logic of any service and opens no socket.
//!
//! # Layout
//!
//! - [`inference`], [`identity`], [`administration`], [`catalog`], [`feedback`], [`models`],
//!   [`registry`],
//!   [`engines`]: one port each, with its types; plain Rust, the same whether a call stays in the
//!   process or crosses the network
//! - [`error`]: [`ErrorCode`], the table code → gRPC → HTTP → retryable, and the ports' [`Error`]
//! - [`id`]: newtypes for names that must not be mixed up
//! - [`grpc`]: each port over tonic, as a client that implements it and a server that serves it
//! - [`parts`]: how much a caller's message may hold, counted before it is decoded
//! - [`fuzz`]: where bytes are first read, for fuzzers
//! - [`pb`]: code generated from `proto/`; only [`grpc`] and the conversions touch it, and the gateway
//!   the public messages

pub mod administration;
pub mod catalog;
mod convert;
pub mod engines;
pub mod error;
pub mod feedback;
pub mod fuzz;
pub mod grpc;
pub mod id;
pub mod identity;
pub mod inference;
pub mod models;
pub mod parts;
pub mod pb;
pub mod registry;

pub use error::{Error, ErrorCode};

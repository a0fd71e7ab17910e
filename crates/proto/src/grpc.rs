//! The ports over gRPC: for each a client that implements the port, and a server that serves
//! whatever implements it. A service and its remote twin are thus interchangeable.

mod administration;
mod catalog;
pub mod codec;
mod engines;
mod feedback;
mod identity;
mod inference;
mod models;
mod registry;
mod status;
mod timeout;

pub use administration::{AdministrationClient, AdministrationServer};
pub use catalog::{CatalogClient, CatalogServer};
pub use engines::{EnginesClient, EnginesServer};
pub use feedback::{FeedbackClient, FeedbackServer};
pub use identity::{IdentityClient, IdentityServer};
pub use inference::{InferenceClient, InferenceServer};
pub use models::{ModelsClient, ModelsServer};
pub use registry::{RegistryClient, RegistryServer};
pub use timeout::timeout;

/// Largest message of an internal call, in bytes, either way; above the gateway's largest body,
/// so that a prompt the edge accepts is never refused further in.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

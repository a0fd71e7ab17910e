//! [`Models`](crate::models::Models) over gRPC.

mod client;
mod server;

pub use client::ModelsClient;
pub use server::ModelsServer;

#[cfg(test)]
mod tests;

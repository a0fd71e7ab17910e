//! How routers are found and called.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use fathom_kit::net::Endpoint;
use fathom_proto::grpc::RegistryClient;
use fathom_proto::registry::Registry;

/// Finds routers.
#[tonic::async_trait]
pub trait Discovery: Send + Sync {
    /// Every router that `name` stands for now.
    async fn resolve(&self, name: &Endpoint) -> io::Result<BTreeSet<Endpoint>>;

    /// The router at an address. An error says why that is none.
    fn connect(&self, address: &Endpoint) -> Result<Arc<dyn Registry>, String>;
}

/// Routers of other processes: by DNS and over gRPC.
pub struct Network;

#[tonic::async_trait]
impl Discovery for Network {
    async fn resolve(&self, name: &Endpoint) -> io::Result<BTreeSet<Endpoint>> {
        name.resolve().await
    }

    fn connect(&self, address: &Endpoint) -> Result<Arc<dyn Registry>, String> {
        Ok(Arc::new(RegistryClient::new(address.channel()?)))
    }
}

//! [`Registry`] over gRPC.

use std::sync::Arc;

use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::Error;
use crate::id::WorkerId;
use crate::pb::router as pb;
use crate::pb::router::registry_service_client::RegistryServiceClient;
use crate::pb::router::registry_service_server::{RegistryService, RegistryServiceServer};
use crate::registry::{Announcement, Lease, Registry};

/// A remote [`Registry`].
#[derive(Clone)]
pub struct RegistryClient(RegistryServiceClient<Channel>);

impl RegistryClient {
    /// Calls over `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(RegistryServiceClient::new(channel))
    }
}

#[tonic::async_trait]
impl Registry for RegistryClient {
    async fn register(&self, announcement: Announcement) -> Result<Lease, Error> {
        let message = pb::RegisterWorkerRequest::from(announcement);
        Ok(self
            .0
            .clone()
            .register_worker(message)
            .await?
            .into_inner()
            .into())
    }

    async fn deregister(&self, worker: &WorkerId, incarnation: u64) -> Result<(), Error> {
        let message = pb::DeregisterWorkerRequest {
            worker_id: worker.to_string(),
            incarnation,
        };
        self.0.clone().deregister_worker(message).await?;
        Ok(())
    }
}

/// Serves a [`Registry`].
pub struct RegistryServer(Arc<dyn Registry>);

impl RegistryServer {
    /// The tonic service in front of `port`.
    pub fn new(port: Arc<dyn Registry>) -> RegistryServiceServer<Self> {
        RegistryServiceServer::new(Self(port))
    }
}

#[tonic::async_trait]
impl RegistryService for RegistryServer {
    async fn register_worker(
        &self,
        message: Request<pb::RegisterWorkerRequest>,
    ) -> Result<Response<pb::RegisterWorkerResponse>, Status> {
        let announcement = message.into_inner().try_into()?;
        Ok(Response::new(self.0.register(announcement).await?.into()))
    }

    async fn deregister_worker(
        &self,
        message: Request<pb::DeregisterWorkerRequest>,
    ) -> Result<Response<pb::DeregisterWorkerResponse>, Status> {
        let pb::DeregisterWorkerRequest {
            worker_id,
            incarnation,
        } = message.into_inner();
        self.0.deregister(&worker_id.into(), incarnation).await?;
        Ok(Response::new(pb::DeregisterWorkerResponse {}))
    }
}

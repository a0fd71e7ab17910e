//! [`Catalog`] over gRPC.

use std::sync::Arc;

use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::Error;
use crate::catalog::{Catalog, Model};
use crate::pb::router as pb;
use crate::pb::router::catalog_service_client::CatalogServiceClient;
use crate::pb::router::catalog_service_server::{CatalogService, CatalogServiceServer};

/// A remote [`Catalog`].
#[derive(Clone)]
pub struct CatalogClient(CatalogServiceClient<Channel>);

impl CatalogClient {
    /// Calls over `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(CatalogServiceClient::new(channel))
    }
}

#[tonic::async_trait]
impl Catalog for CatalogClient {
    async fn list_models(&self) -> Result<Vec<Model>, Error> {
        let response = self.0.clone().list_models(pb::ListModelsRequest {}).await?;
        Ok(response
            .into_inner()
            .models
            .into_iter()
            .map(Into::into)
            .collect())
    }
}

/// Serves a [`Catalog`].
pub struct CatalogServer(Arc<dyn Catalog>);

impl CatalogServer {
    /// The tonic service in front of `port`.
    pub fn new(port: Arc<dyn Catalog>) -> CatalogServiceServer<Self> {
        CatalogServiceServer::new(Self(port))
    }
}

#[tonic::async_trait]
impl CatalogService for CatalogServer {
    async fn list_models(
        &self,
        _: Request<pb::ListModelsRequest>,
    ) -> Result<Response<pb::ListModelsResponse>, Status> {
        let models = self
            .0
            .list_models()
            .await?
            .into_iter()
            .map(Into::into)
            .collect();
        Ok(Response::new(pb::ListModelsResponse { models }))
    }
}

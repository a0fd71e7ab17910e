//! [`Engines`] over gRPC.

use std::sync::Arc;

use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::MAX_MESSAGE_BYTES;
use crate::Error;
use crate::engines::{EngineStatus, Engines, LoadEngine};
use crate::id::ModelId;
use crate::pb::worker as pb;
use crate::pb::worker::engine_service_client::EngineServiceClient;
use crate::pb::worker::engine_service_server::{EngineService, EngineServiceServer};

/// A remote [`Engines`].
#[derive(Clone)]
pub struct EnginesClient(EngineServiceClient<Channel>);

impl EnginesClient {
    /// Calls over `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(
            EngineServiceClient::new(channel)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
    }
}

#[tonic::async_trait]
impl Engines for EnginesClient {
    async fn list(&self) -> Result<Vec<EngineStatus>, Error> {
        let answer = self
            .0
            .clone()
            .list_engines(pb::ListEnginesRequest {})
            .await?;
        let engines = answer.into_inner().engines;
        Ok(engines.into_iter().map(Into::into).collect())
    }

    async fn load(&self, request: LoadEngine) -> Result<EngineStatus, Error> {
        let message = pb::LoadEngineRequest::from(request);
        let answer = self.0.clone().load_engine(message).await?.into_inner();
        Ok(answer.engine.unwrap_or_default().into())
    }

    async fn unload(&self, model: &ModelId) -> Result<(), Error> {
        let model = model.to_string();
        let message = pb::UnloadModelRequest { model };
        self.0.clone().unload_model(message).await?;
        Ok(())
    }
}

/// Serves an [`Engines`].
pub struct EnginesServer(Arc<dyn Engines>);

impl EnginesServer {
    /// The tonic service in front of `port`.
    pub fn new(port: Arc<dyn Engines>) -> EngineServiceServer<Self> {
        EngineServiceServer::new(Self(port))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }
}

#[tonic::async_trait]
impl EngineService for EnginesServer {
    async fn list_engines(
        &self,
        _: Request<pb::ListEnginesRequest>,
    ) -> Result<Response<pb::ListEnginesResponse>, Status> {
        let engines = self.0.list().await.map_err(into_status)?;
        Ok(Response::new(pb::ListEnginesResponse {
            engines: engines.into_iter().map(Into::into).collect(),
        }))
    }

    async fn load_engine(
        &self,
        message: Request<pb::LoadEngineRequest>,
    ) -> Result<Response<pb::LoadEngineResponse>, Status> {
        let request = message.into_inner().try_into()?;
        let engine = self.0.load(request).await.map_err(into_status)?;
        Ok(Response::new(pb::LoadEngineResponse {
            engine: Some(engine.into()),
        }))
    }

    async fn unload_model(
        &self,
        message: Request<pb::UnloadModelRequest>,
    ) -> Result<Response<pb::UnloadModelResponse>, Status> {
        let model = message.into_inner().model.into();
        self.0.unload(&model).await.map_err(into_status)?;
        Ok(Response::new(pb::UnloadModelResponse {}))
    }
}

/// The status for the caller; the cause is logged.
fn into_status(error: Error) -> Status {
    error.log_cause(None);
    Error {
        source: None,
        ..error
    }
    .into()
}

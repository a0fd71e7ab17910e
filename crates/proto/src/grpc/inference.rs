//! [`Inference`] over gRPC.

use std::sync::Arc;

use futures::StreamExt;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::{MAX_MESSAGE_BYTES, timeout};
use crate::Error;
use crate::convert::embedding::{decode_embed_request, encode_embed_request};
use crate::convert::inference::{decode_request, encode_request};
use crate::convert::missing;
use crate::id::RequestId;
use crate::inference::{
    EmbedRequest, Embeddings, GenerateRequest, Inference, RequestContext, TokenStream,
};
use crate::pb::inference as pb;
use crate::pb::inference::inference_service_client::InferenceServiceClient;
use crate::pb::inference::inference_service_server::{InferenceService, InferenceServiceServer};

/// A remote [`Inference`].
#[derive(Clone)]
pub struct InferenceClient(InferenceServiceClient<Channel>);

impl InferenceClient {
    /// Calls over `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(
            InferenceServiceClient::new(channel)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
    }
}

#[tonic::async_trait]
impl Inference for InferenceClient {
    async fn generate(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, Error> {
        let message = with_timeout(encode_request(request, &context), &context);
        // Clones of a tonic client share the connection.
        let stream = self.0.clone().generate(message).await?.into_inner();
        Ok(Box::pin(stream.map(|message| message?.try_into())))
    }

    async fn embed(
        &self,
        request: EmbedRequest,
        context: RequestContext,
    ) -> Result<Embeddings, Error> {
        let message = with_timeout(encode_embed_request(request, &context), &context);
        Ok(self.0.clone().embed(message).await?.into_inner().into())
    }

    async fn count_tokens(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<u32, Error> {
        let message = pb::CountTokensRequest {
            generation: Some(encode_request(request, &context)),
        };
        let message = with_timeout(message, &context);
        let counted = self.0.clone().count_tokens(message).await?;
        Ok(counted.into_inner().prompt_tokens)
    }
}

/// The call with the time that is left for it.
fn with_timeout<M>(message: M, context: &RequestContext) -> Request<M> {
    let mut message = Request::new(message);
    if let Some(deadline) = context.deadline {
        message.set_timeout(deadline.saturating_duration_since(Instant::now()));
    }
    message
}

/// Serves an [`Inference`].
pub struct InferenceServer(Arc<dyn Inference>);

impl InferenceServer {
    /// The tonic service in front of `port`.
    pub fn new(port: Arc<dyn Inference>) -> InferenceServiceServer<Self> {
        InferenceServiceServer::new(Self(port))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }
}

type ResponseStream = futures::stream::BoxStream<'static, Result<pb::GenerateResponse, Status>>;

#[tonic::async_trait]
impl InferenceService for InferenceServer {
    type GenerateStream = ResponseStream;

    async fn generate(
        &self,
        message: Request<pb::GenerateRequest>,
    ) -> Result<Response<ResponseStream>, Status> {
        let deadline = deadline(message.metadata());
        let (request, context) = decode_request(message.into_inner())?;
        let context = RequestContext {
            deadline,
            ..context
        };
        let id = context.request_id.clone();
        let stream = match self.0.generate(request, context).await {
            Ok(stream) => stream,
            Err(error) => return Err(into_status(error, &id)),
        };
        Ok(Response::new(Box::pin(stream.map(
            move |event| match event {
                Ok(event) => Ok(event.into()),
                Err(error) => Err(into_status(error, &id)),
            },
        ))))
    }

    async fn embed(
        &self,
        message: Request<pb::EmbedRequest>,
    ) -> Result<Response<pb::EmbedResponse>, Status> {
        let deadline = deadline(message.metadata());
        let (request, context) = decode_embed_request(message.into_inner())?;
        let context = RequestContext {
            deadline,
            ..context
        };
        let id = context.request_id.clone();
        let answer = self.0.embed(request, context).await;
        let embeddings = answer.map_err(|error| into_status(error, &id))?;
        Ok(Response::new(embeddings.into()))
    }

    async fn count_tokens(
        &self,
        message: Request<pb::CountTokensRequest>,
    ) -> Result<Response<pb::CountTokensResponse>, Status> {
        let deadline = deadline(message.metadata());
        let generation = message.into_inner().generation;
        let (request, context) = decode_request(generation.ok_or_else(|| missing("generation"))?)?;
        let context = RequestContext {
            deadline,
            ..context
        };
        let id = context.request_id.clone();
        let answer = self.0.count_tokens(request, context).await;
        let prompt_tokens = answer.map_err(|error| into_status(error, &id))?;
        Ok(Response::new(pb::CountTokensResponse { prompt_tokens }))
    }
}

/// The status for the caller; the cause is logged with the request's id.
fn into_status(error: Error, request_id: &RequestId) -> Status {
    error.log_cause(Some(request_id));
    Error {
        source: None,
        ..error
    }
    .into()
}

/// When the caller gives up.
fn deadline(metadata: &MetadataMap) -> Option<Instant> {
    timeout(metadata).map(|timeout| Instant::now() + timeout)
}

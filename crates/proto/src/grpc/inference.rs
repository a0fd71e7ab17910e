//! [`Inference`] over gRPC.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::MAX_MESSAGE_BYTES;
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

/// Reads `grpc-timeout`: at most eight digits and a unit. A malformed one counts as absent, as
/// tonic's own server has it.
fn timeout(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_grpc_protocol_writes_them() {
        let read = |text: &'static str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().unwrap());
            timeout(&metadata)
        };
        assert_eq!(read("2S"), Some(Duration::from_secs(2)));
        assert_eq!(read("1500m"), Some(Duration::from_millis(1500)));
        assert_eq!(
            read("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3600))
        );
        for malformed in ["", "S", "-1S", "123456789S", "5", "5x", "5.5S"] {
            assert_eq!(read(malformed), None, "{malformed}");
        }
    }
}

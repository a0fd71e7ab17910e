//! [`Feedback`] over gRPC.

use std::sync::Arc;

use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::Error;
use crate::convert::missing;
use crate::feedback::{Feedback, Score};
use crate::id::{RequestId, TenantId};
use crate::pb::router as pb;
use crate::pb::router::feedback_service_client::FeedbackServiceClient;
use crate::pb::router::feedback_service_server::{FeedbackService, FeedbackServiceServer};

/// A remote [`Feedback`].
#[derive(Clone)]
pub struct FeedbackClient(FeedbackServiceClient<Channel>);

impl FeedbackClient {
    /// Calls over `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(FeedbackServiceClient::new(channel))
    }
}

#[tonic::async_trait]
impl Feedback for FeedbackClient {
    async fn score(
        &self,
        tenant: &TenantId,
        request: &RequestId,
        score: Score,
    ) -> Result<(), Error> {
        let message = pb::ScoreRequestRequest {
            tenant_id: tenant.to_string(),
            request_id: request.to_string(),
            score: score.value(),
        };
        self.0.clone().score_request(message).await?;
        Ok(())
    }
}

/// Serves a [`Feedback`].
pub struct FeedbackServer(Arc<dyn Feedback>);

impl FeedbackServer {
    /// The tonic service in front of `port`.
    pub fn new(port: Arc<dyn Feedback>) -> FeedbackServiceServer<Self> {
        FeedbackServiceServer::new(Self(port))
    }
}

#[tonic::async_trait]
impl FeedbackService for FeedbackServer {
    async fn score_request(
        &self,
        request: Request<pb::ScoreRequestRequest>,
    ) -> Result<Response<pb::ScoreRequestResponse>, Status> {
        let message = request.into_inner();
        for (field, value) in [
            ("tenant_id", &message.tenant_id),
            ("request_id", &message.request_id),
        ] {
            if value.is_empty() {
                return Err(missing(field).into());
            }
        }
        let score = Score::new(message.score)
            .ok_or_else(|| Error::invalid("score", "`score` must be from -1 to 1"))?;
        self.0
            .score(&message.tenant_id.into(), &message.request_id.into(), score)
            .await?;
        Ok(Response::new(pb::ScoreRequestResponse {}))
    }
}

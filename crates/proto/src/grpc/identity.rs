//! [`Identity`] over gRPC.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::Error;
use crate::identity::{AccessToken, Identity, Principal, TokenRequest};
use crate::pb::auth as pb;
use crate::pb::auth::auth_service_client::AuthServiceClient;
use crate::pb::auth::auth_service_server::{AuthService, AuthServiceServer};

/// A remote [`Identity`].
#[derive(Clone)]
pub struct IdentityClient(AuthServiceClient<Channel>);

impl IdentityClient {
    /// Calls over `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(AuthServiceClient::new(channel))
    }
}

#[tonic::async_trait]
impl Identity for IdentityClient {
    async fn authenticate(&self, bearer: SecretString) -> Result<Principal, Error> {
        let bearer = bearer.expose_secret().to_owned();
        let message = pb::AuthenticateRequest { bearer };
        Ok(self
            .0
            .clone()
            .authenticate(message)
            .await?
            .into_inner()
            .into())
    }

    async fn issue_token(&self, request: TokenRequest) -> Result<AccessToken, Error> {
        let message = pb::IssueTokenRequest::from(request);
        Ok(self
            .0
            .clone()
            .issue_token(message)
            .await?
            .into_inner()
            .into())
    }
}

/// Serves an [`Identity`].
pub struct IdentityServer(Arc<dyn Identity>);

impl IdentityServer {
    /// The tonic service in front of `port`.
    pub fn new(port: Arc<dyn Identity>) -> AuthServiceServer<Self> {
        AuthServiceServer::new(Self(port))
    }
}

#[tonic::async_trait]
impl AuthService for IdentityServer {
    async fn authenticate(
        &self,
        message: Request<pb::AuthenticateRequest>,
    ) -> Result<Response<pb::AuthenticateResponse>, Status> {
        let bearer = message.into_inner().bearer.into();
        Ok(Response::new(self.0.authenticate(bearer).await?.into()))
    }

    async fn issue_token(
        &self,
        message: Request<pb::IssueTokenRequest>,
    ) -> Result<Response<pb::IssueTokenResponse>, Status> {
        let request = TokenRequest::try_from(message.into_inner())?;
        Ok(Response::new(self.0.issue_token(request).await?.into()))
    }
}

//! [`Identity`] over gRPC.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use secrecy::{ExposeSecret, SecretString};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::MAX_MESSAGE_BYTES;
use crate::identity::{
    AccessToken, ChangeStream, ClientAuthentication, Identity, Introspection, KeySet, Principal,
    TokenRequest,
};
use crate::pb::auth as pb;
use crate::pb::auth::auth_service_client::AuthServiceClient;
use crate::pb::auth::auth_service_server::{AuthService, AuthServiceServer};
use crate::{Error, ErrorCode};

/// A remote [`Identity`].
#[derive(Clone)]
pub struct IdentityClient(AuthServiceClient<Channel>);

impl IdentityClient {
    /// Calls over `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(AuthServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }
}

#[tonic::async_trait]
impl Identity for IdentityClient {
    async fn authenticate(&self, bearer: SecretString) -> Result<Principal, Error> {
        let bearer = bearer.expose_secret().to_owned();
        let message = pb::AuthenticateRequest { bearer };
        let answer = self.0.clone().authenticate(message).await?;
        Ok(answer.into_inner().into())
    }

    async fn client(&self, id: &str) -> Result<Principal, Error> {
        let client_id = id.to_owned();
        let message = pb::DescribeClientRequest { client_id };
        let answer = self.0.clone().describe_client(message).await?;
        let principal = answer.into_inner().principal;
        principal
            .map(Into::into)
            .ok_or_else(|| Error::new(ErrorCode::Internal, "internal error"))
    }

    async fn issue_token(&self, request: TokenRequest) -> Result<AccessToken, Error> {
        let message = pb::IssueTokenRequest::from(request);
        let answer = self.0.clone().issue_token(message).await?;
        Ok(answer.into_inner().into())
    }

    async fn introspect(
        &self,
        client: ClientAuthentication,
        token: SecretString,
    ) -> Result<Option<Introspection>, Error> {
        let message = pb::IntrospectTokenRequest {
            client: Some(client.into()),
            token: token.expose_secret().to_owned(),
        };
        let answer = self.0.clone().introspect_token(message).await?;
        Ok(answer.into_inner().active.map(Into::into))
    }

    async fn revoke_token(
        &self,
        client: ClientAuthentication,
        token: SecretString,
    ) -> Result<(), Error> {
        let message = pb::RevokeTokenRequest {
            client: Some(client.into()),
            token: token.expose_secret().to_owned(),
        };
        self.0.clone().revoke_token(message).await?;
        Ok(())
    }

    async fn key_set(&self) -> Result<KeySet, Error> {
        let answer = self.0.clone().get_key_set(pb::GetKeySetRequest {}).await?;
        Ok(answer.into_inner().into())
    }

    async fn watch_revocations(&self, after: Option<i64>) -> Result<ChangeStream, Error> {
        let message = pb::WatchRevocationsRequest { after };
        let answer = self.0.clone().watch_revocations(message).await?;
        let notices = answer.into_inner().map_ok(Into::into).map_err(Error::from);
        Ok(notices.boxed())
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
        let principal = self.0.authenticate(bearer).await?;
        Ok(Response::new(principal.into()))
    }

    async fn describe_client(
        &self,
        message: Request<pb::DescribeClientRequest>,
    ) -> Result<Response<pb::DescribeClientResponse>, Status> {
        let principal = self.0.client(&message.into_inner().client_id).await?;
        Ok(Response::new(pb::DescribeClientResponse {
            principal: Some(principal.into()),
        }))
    }

    async fn issue_token(
        &self,
        message: Request<pb::IssueTokenRequest>,
    ) -> Result<Response<pb::IssueTokenResponse>, Status> {
        let request = message.into_inner().try_into()?;
        Ok(Response::new(self.0.issue_token(request).await?.into()))
    }

    async fn introspect_token(
        &self,
        message: Request<pb::IntrospectTokenRequest>,
    ) -> Result<Response<pb::IntrospectTokenResponse>, Status> {
        let message = message.into_inner();
        let client = message.client.try_into()?;
        let active = self.0.introspect(client, message.token.into()).await?;
        Ok(Response::new(pb::IntrospectTokenResponse {
            active: active.map(Into::into),
        }))
    }

    async fn revoke_token(
        &self,
        message: Request<pb::RevokeTokenRequest>,
    ) -> Result<Response<pb::RevokeTokenResponse>, Status> {
        let message = message.into_inner();
        let client = message.client.try_into()?;
        self.0.revoke_token(client, message.token.into()).await?;
        Ok(Response::new(pb::RevokeTokenResponse {}))
    }

    async fn get_key_set(
        &self,
        _: Request<pb::GetKeySetRequest>,
    ) -> Result<Response<pb::GetKeySetResponse>, Status> {
        Ok(Response::new(self.0.key_set().await?.into()))
    }

    type WatchRevocationsStream =
        Pin<Box<dyn Stream<Item = Result<pb::WatchRevocationsResponse, Status>> + Send>>;

    async fn watch_revocations(
        &self,
        message: Request<pb::WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let notices = self.0.watch_revocations(message.into_inner().after).await?;
        let messages = notices.map_ok(Into::into).map_err(Status::from);
        Ok(Response::new(messages.boxed()))
    }
}

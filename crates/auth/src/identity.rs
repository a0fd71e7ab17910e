//! The port: what a bearer credential is, and who stands behind it.

use fathom_proto::identity::{
    AccessToken, ChangeStream, ClientAuthentication, Identity, Introspection, KeySet, Principal,
    TokenRequest,
};
use fathom_token::signed;
use secrecy::{ExposeSecret as _, SecretString};

use crate::client::plausible;
use crate::metrics::{self, Kind};
use crate::{Auth, Error, Refusal, api_key, clock};

/// Nothing longer is looked at, in bytes.
const MAX_CREDENTIAL_BYTES: usize = 8 * 1024;

#[tonic::async_trait]
impl Identity for Auth {
    async fn authenticate(&self, bearer: SecretString) -> Result<Principal, fathom_proto::Error> {
        // Nobody's credential is empty: gateways ask this way whether the service is up, and
        // that is no attempt to count.
        if bearer.expose_secret().is_empty() {
            return Err(Error::from(Refusal::Malformed).into());
        }
        let (kind, result) = self.identify(bearer.expose_secret()).await;
        settle(kind, result)
    }

    async fn client(&self, id: &str) -> Result<Principal, fathom_proto::Error> {
        Ok(self.current_client(id).await?)
    }

    async fn issue_token(&self, request: TokenRequest) -> Result<AccessToken, fathom_proto::Error> {
        let (kind, result) = self.grant_as(&request).await;
        settle(kind, result)
    }

    async fn introspect(
        &self,
        client: ClientAuthentication,
        token: SecretString,
    ) -> Result<Option<Introspection>, fathom_proto::Error> {
        let (kind, result) = self.authenticated_client(&client).await;
        let client = settle(kind, result)?;
        Ok(self.inspect_for(&client, token.expose_secret()).await?)
    }

    async fn revoke_token(
        &self,
        client: ClientAuthentication,
        token: SecretString,
    ) -> Result<(), fathom_proto::Error> {
        let (kind, result) = self.authenticated_client(&client).await;
        let client = settle(kind, result)?;
        Ok(self.revoke(&client, token.expose_secret()).await?)
    }

    async fn key_set(&self) -> Result<KeySet, fathom_proto::Error> {
        // Who asks may have heard of a change that this process has not read yet.
        self.reload_signing_keys().await?;
        Ok(self.inner.signing_keys.open().set.clone())
    }

    async fn watch_revocations(
        &self,
        after: Option<i64>,
    ) -> Result<ChangeStream, fathom_proto::Error> {
        Ok(self.watch(after).await?)
    }
}

/// Whose a credential is, and what it says of itself.
pub(crate) struct Identified {
    pub principal: Principal,
    /// When it was made, in seconds since the epoch; a JWT alone says so.
    pub issued_at: Option<i64>,
    /// `jti` of an access token.
    pub token_id: Option<String>,
}

impl From<Principal> for Identified {
    fn from(principal: Principal) -> Self {
        Self {
            principal,
            issued_at: None,
            token_id: None,
        }
    }
}

impl Auth {
    /// Whose a bearer credential is.
    pub(crate) async fn identify(&self, bearer: &str) -> (Kind, Result<Principal, Error>) {
        let (kind, result) = self.identify_fully(bearer).await;
        (kind, result.map(|identified| identified.principal))
    }

    /// Whose a bearer credential is, and what it says of itself. Its shape alone decides which
    /// check is made, and the kind that is named with the result.
    pub(crate) async fn identify_fully(&self, bearer: &str) -> (Kind, Result<Identified, Error>) {
        if bearer.len() > MAX_CREDENTIAL_BYTES {
            return (Kind::Unknown, Err(Refusal::TooLong.into()));
        }
        if bearer.starts_with(api_key::PREFIX) {
            let result = self.api_key(bearer).await;
            return (Kind::ApiKey, result.map(Identified::from));
        }
        match signed::unverified_issuer(bearer) {
            Ok(issuer) if issuer == self.inner.config.issuer => {
                let result = self.access_token(bearer).await;
                let result = result.map(|(principal, claims)| Identified {
                    principal,
                    issued_at: Some(claims.iat),
                    token_id: Some(claims.jti),
                });
                (Kind::AccessToken, result)
            }
            Ok(client) => {
                let result = self.self_signed(bearer, &client).await;
                let result = result.map(|(principal, issued_at)| Identified {
                    issued_at: Some(issued_at),
                    ..principal.into()
                });
                (Kind::SelfSigned, result)
            }
            Err(refusal) => (Kind::Unknown, Err(refusal.into())),
        }
    }

    /// Exchanges client credentials for an access token.
    pub(crate) async fn grant(&self, request: &TokenRequest) -> Result<AccessToken, Error> {
        self.grant_as(request).await.1
    }

    async fn grant_as(&self, request: &TokenRequest) -> (Kind, Result<AccessToken, Error>) {
        let (kind, client) = self.authenticated_client(&request.client).await;
        let token = client.and_then(|client| {
            let scopes = request.scopes.unwrap_or(client.grant.scopes);
            if scopes.is_empty() || !client.grant.scopes.covers(scopes) {
                return Err(Error::ScopeNotGranted {
                    granted: client.grant.scopes,
                });
            }
            self.sign_access_token(&client, scopes)
        });
        (kind, token)
    }

    /// What a client may do now.
    async fn current_client(&self, id: &str) -> Result<Principal, Error> {
        let client = self.inner.store.client(plausible(id)).await?;
        let client = client.ok_or(Refusal::UnknownClient)?;
        client.grant.check(clock::now())?;
        self.principal(client.id, client.grant).await
    }
}

/// Counts the outcome, and tells the reason of a refusal to the log alone.
pub(crate) fn settle<T>(kind: Kind, result: Result<T, Error>) -> Result<T, fathom_proto::Error> {
    metrics::record(kind, &result);
    if let Err(Error::Refused(reason)) = &result {
        tracing::debug!(credential.kind = kind.as_str(), %reason, "credential refused");
    }
    Ok(result?)
}

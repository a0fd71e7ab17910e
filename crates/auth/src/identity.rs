//! The port: what a bearer credential is, and who stands behind it.

use fathom_proto::identity::{
    AccessToken, ChangeStream, ClientAuthentication, ClientProof, Identity, Introspection, KeySet,
    Principal, TokenRequest,
};
use fathom_token::signed;
use secrecy::{ExposeSecret as _, SecretString};

use crate::grant::Grant;
use crate::metrics::{self, Kind};
use crate::{Auth, Error, Refusal, api_key, client};

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

    async fn issue_token(&self, request: TokenRequest) -> Result<AccessToken, fathom_proto::Error> {
        settle(Kind::ClientSecret, self.grant(&request).await)
    }

    async fn client(&self, _id: &str) -> Result<Principal, fathom_proto::Error> {
        Err(Error::Cryptography.into())
    }

    async fn introspect(
        &self,
        _client: ClientAuthentication,
        _token: SecretString,
    ) -> Result<Option<Introspection>, fathom_proto::Error> {
        Err(Error::Cryptography.into())
    }

    async fn revoke_token(
        &self,
        _client: ClientAuthentication,
        _token: SecretString,
    ) -> Result<(), fathom_proto::Error> {
        Err(Error::Cryptography.into())
    }

    async fn key_set(&self) -> Result<KeySet, fathom_proto::Error> {
        Err(Error::Cryptography.into())
    }

    async fn watch_revocations(
        &self,
        _after: Option<i64>,
    ) -> Result<ChangeStream, fathom_proto::Error> {
        Err(Error::Cryptography.into())
    }
}

impl Auth {
    /// Whose a bearer credential is. Its shape alone decides which check is made, and the kind
    /// that is named with the result.
    pub(crate) async fn identify(&self, bearer: &str) -> (Kind, Result<Principal, Error>) {
        if bearer.len() > MAX_CREDENTIAL_BYTES {
            return (Kind::Unknown, Err(Refusal::TooLong.into()));
        }
        if bearer.starts_with(api_key::PREFIX) {
            return (Kind::ApiKey, self.api_key(bearer).await);
        }
        match signed::unverified_issuer(bearer) {
            Ok(issuer) if issuer == self.inner.config.issuer => {
                (Kind::AccessToken, self.access_token(bearer).await)
            }
            Ok(client) => (Kind::SelfSigned, self.self_signed(bearer, &client).await),
            Err(refusal) => (Kind::Unknown, Err(refusal.into())),
        }
    }

    /// Exchanges client credentials for an access token.
    pub(crate) async fn grant(&self, request: &TokenRequest) -> Result<AccessToken, Error> {
        let ClientProof::Secret(presented) = &request.client.proof else {
            return Err(Refusal::Malformed.into());
        };
        let presented = presented.expose_secret();
        if presented.len() > MAX_CREDENTIAL_BYTES {
            return Err(Refusal::TooLong.into());
        }
        let claimed = self
            .claimed(request.client.client_id.as_deref().unwrap_or_default())
            .await?;
        let client =
            claimed.proven_by(|secret| client::same_secret(secret, presented.as_bytes()))?;
        let scopes = request.scopes.unwrap_or(client.grant.scopes);
        if scopes.is_empty() || !client.grant.scopes.covers(scopes) {
            return Err(Error::ScopeNotGranted {
                granted: client.grant.scopes,
            });
        }
        self.sign_access_token(&client, scopes)
    }
}

impl Auth {
    /// The caller behind a grant that holds.
    pub(crate) async fn principal(
        &self,
        subject: String,
        grant: Grant,
    ) -> Result<Principal, Error> {
        Ok(Principal {
            limits: [].into(),
            tenant: grant.tenant,
            subject,
            scopes: grant.scopes,
            models: grant.models,
            expires_at: grant.expires_at,
        })
    }
}

/// Counts the outcome, and tells the reason of a refusal to the log alone.
fn settle<T>(kind: Kind, result: Result<T, Error>) -> Result<T, fathom_proto::Error> {
    metrics::record(kind, &result);
    if let Err(Error::Refused(reason)) = &result {
        tracing::debug!(credential.kind = kind.as_str(), %reason, "credential refused");
    }
    Ok(result?)
}

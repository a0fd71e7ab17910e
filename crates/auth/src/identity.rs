//! The port: what a bearer credential is, and who stands behind it.

use fathom_proto::identity::{AccessToken, Identity, Principal, TokenRequest};
use secrecy::{ExposeSecret as _, SecretString};

use crate::metrics::{self, Kind};
use crate::{Auth, Error, Refusal, api_key, client, jwt};

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
        match jwt::unverified_issuer(bearer) {
            Ok(issuer) if issuer == self.inner.config.issuer => {
                (Kind::AccessToken, self.access_token(bearer).await)
            }
            Ok(client) => (Kind::SelfSigned, self.self_signed(bearer, &client).await),
            Err(refusal) => (Kind::Unknown, Err(refusal.into())),
        }
    }

    /// Exchanges client credentials for an access token.
    pub(crate) async fn grant(&self, request: &TokenRequest) -> Result<AccessToken, Error> {
        let presented = request.client_secret.expose_secret();
        if presented.len() > MAX_CREDENTIAL_BYTES {
            return Err(Refusal::TooLong.into());
        }
        let claimed = self.claimed(&request.client_id).await?;
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

/// Counts the outcome, and tells the reason of a refusal to the log alone.
fn settle<T>(kind: Kind, result: Result<T, Error>) -> Result<T, fathom_proto::Error> {
    metrics::record(kind, &result);
    if let Err(Error::Refused(reason)) = &result {
        tracing::debug!(credential.kind = kind.as_str(), %reason, "credential refused");
    }
    Ok(result?)
}

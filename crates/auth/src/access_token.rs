//! Access tokens: JWTs of this service (RFC 9068).

use fathom_proto::identity::{AccessToken, Principal, Scopes};
use fathom_token::Claims;

use crate::store::ClientRow;
use crate::{Auth, Error, Refusal, clock, random};

impl Auth {
    /// Signs a token for a client that has proven itself.
    pub(crate) fn sign_access_token(
        &self,
        client: &ClientRow,
        scopes: Scopes,
    ) -> Result<AccessToken, Error> {
        let config = &self.inner.config;
        let iat = clock::now();
        let exp = iat.saturating_add_unsigned(config.token_lifetime.as_secs());
        let exp = client.grant.end_by(exp);
        let claims = Claims {
            iss: config.issuer.clone(),
            sub: client.id.clone(),
            aud: config.audience.clone(),
            client_id: client.id.clone(),
            iat,
            exp,
            nbf: None,
            jti: random::id()?,
            scope: scopes.to_string(),
            tenant: client.grant.tenant.to_string(),
        };
        Ok(AccessToken {
            token: self.sign(&claims, iat)?,
            // The configuration is checked at the start to be at most a day.
            expires_in: u32::try_from(exp - iat).unwrap_or_default(),
            scopes,
        })
    }

    /// Whose access token this is, and what it says. The client is looked up, so that one that was
    /// disabled or lost a scope does not keep it for the life of its tokens.
    pub(crate) async fn access_token(&self, token: &str) -> Result<(Principal, Claims), Error> {
        let claims = self.verify_access_token(token, clock::now()).await?;
        let scopes = claims.scopes()?;
        if self.inner.store.is_revoked(&claims.jti).await? {
            return Err(Refusal::Revoked.into());
        }
        let client = self.inner.store.client(&claims.client_id).await?;
        let client = client.ok_or(fathom_token::Refusal::Audience)?;
        client.grant.check(clock::now())?;
        if client.grant.tenant.as_str() != claims.tenant {
            return Err(fathom_token::Refusal::Audience.into());
        }
        let scopes: Scopes = scopes
            .iter()
            .filter(|scope| client.grant.scopes.contains(*scope))
            .collect();
        if scopes.is_empty() {
            return Err(Refusal::NoScope.into());
        }
        let exp = client.grant.end_by(claims.exp);
        let principal = self.principal(client.id, client.grant).await?;
        let principal = Principal {
            expires_at: Some(exp),
            scopes,
            ..principal
        };
        Ok((principal, claims))
    }
}

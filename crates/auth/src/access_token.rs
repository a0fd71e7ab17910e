//! Access tokens: JWTs of this service (RFC 9068).

use fathom_proto::identity::{AccessToken, Principal, Scopes};
use jsonwebtoken::{Algorithm, Header, encode};
use serde::{Deserialize, Serialize};

use crate::jwt::Signed;
use crate::signing_key::SigningKeys;
use crate::store::ClientRow;
use crate::{Auth, Config, Error, Refusal, clock, jwt, random};

/// What keeps an access token and every other JWT apart (RFC 9068, section 2.1).
const TYPE: &str = "at+jwt";

/// Claims of an access token (RFC 9068, section 2.2). All are required; a repeated one is an error.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    /// The service that issued it.
    iss: String,
    /// The client: nobody else stands behind a client-credentials grant.
    sub: String,
    /// Whom it is for; one name, never a list.
    aud: String,
    client_id: String,
    iat: i64,
    exp: i64,
    jti: String,
    /// Space-separated.
    scope: String,
    /// Tenant of the client, so that a gateway need not ask.
    tenant: String,
}

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
            jti: random::id()?,
            scope: scopes.to_string(),
            tenant: client.grant.tenant.to_string(),
        };
        let keys = &self.inner.signing_keys;
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(keys.kid.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        let token = encode(&header, &claims, &keys.encoding).map_err(|_| Error::Cryptography)?;
        Ok(AccessToken {
            token: token.into(),
            // The configuration is checked at the start to be at most a day.
            expires_in: u32::try_from(exp - iat).unwrap_or_default(),
            scopes,
        })
    }

    /// Whose access token this is. The client is looked up, so that one that was disabled or
    /// lost a scope does not keep it for the life of its tokens.
    pub(crate) async fn access_token(&self, token: &str) -> Result<Principal, Error> {
        let inner = &self.inner;
        let claims = verify(token, &inner.signing_keys, &inner.config, clock::now())?;
        let scopes = Scopes::parse(claims.scope.split(' ')).map_err(|_| Refusal::NoScope)?;
        let client = self.inner.store.client(&claims.client_id).await?;
        let client = client.ok_or(Refusal::Audience)?;
        client.grant.check(clock::now())?;
        if client.grant.tenant.as_str() != claims.tenant {
            return Err(Refusal::Audience.into());
        }
        let scopes: Scopes = scopes
            .iter()
            .filter(|scope| client.grant.scopes.contains(*scope))
            .collect();
        if scopes.is_empty() {
            return Err(Refusal::NoScope.into());
        }
        Ok(Principal {
            expires_at: Some(client.grant.end_by(claims.exp)),
            tenant: client.grant.tenant,
            subject: client.id,
            scopes,
        })
    }
}

/// The claims of a token that one of `keys` signed for this service and that holds at `now`.
fn verify(token: &str, keys: &SigningKeys, config: &Config, now: i64) -> Result<Claims, Refusal> {
    let header = jwt::header(token, Algorithm::EdDSA)?;
    if header.typ.as_deref() != Some(TYPE) {
        return Err(Refusal::Header);
    }
    let kid = header.kid.ok_or(Refusal::UnknownKey)?;
    let key = keys.decoding(&kid).ok_or(Refusal::UnknownKey)?;
    let claims: Claims = Signed::verify(token, key, Algorithm::EdDSA)?.read()?;
    if claims.iss != config.issuer
        || claims.aud != config.audience
        || claims.sub != claims.client_id
    {
        return Err(Refusal::Audience);
    }
    jwt::check_times(claims.iat, claims.exp, now)?;
    Ok(claims)
}

#[cfg(test)]
mod tests;

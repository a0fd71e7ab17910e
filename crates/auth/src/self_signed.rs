//! Bearers that a client signs itself: an HS256 JWT under its own secret that names the client as
//! issuer and lives an hour at most. A client may do so only if it was made for it.

use fathom_proto::identity::Principal;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use fathom_token::{Signed, signed, times};

use crate::{Auth, Error, Refusal, clock};

/// Longest life that a client may give its token, in seconds.
const MAX_LIFETIME: i64 = 60 * 60;

/// A key no shorter than the hash's output (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Claims of a client's own token; a repeated one is an error.
#[derive(Debug, Deserialize)]
struct Claims {
    /// The client.
    iss: String,
    iat: i64,
    exp: i64,
    nbf: Option<i64>,
    /// The client again, if given.
    sub: Option<String>,
    /// This service or its audience, if given: a token meant for others stays theirs.
    aud: Option<String>,
}

impl Auth {
    /// Whose self-signed bearer this is; `client` is the issuer that it names.
    pub(crate) async fn self_signed(&self, token: &str, client: &str) -> Result<Principal, Error> {
        let header = signed::header_for(token, Algorithm::HS256)?;
        // Any other type is a JWT made for another end, such as an access token.
        if header
            .typ
            .is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT"))
        {
            return Err(fathom_token::Refusal::Header.into());
        }
        let mut signed = None;
        let client = self.claimed(client).await?.proven_by(|secret| {
            let key = DecodingKey::from_secret(secret);
            let claims = Signed::verify(token, &key, Algorithm::HS256).ok();
            let claims = claims.filter(|_| secret.len() >= MIN_SECRET_BYTES);
            let holds = claims.is_some();
            signed = signed.take().or(claims);
            holds
        })?;
        let claims: Claims = signed.ok_or(fathom_token::Refusal::Signature)?.read()?;
        if !client.self_signed_bearer {
            return Err(Refusal::SelfSigned.into());
        }
        self.check(&claims, &client.id)?;
        let exp = client.grant.end_by(claims.exp);
        let principal = self.principal(client.id, client.grant).await?;
        Ok(Principal {
            expires_at: Some(exp),
            ..principal
        })
    }

    fn check(&self, claims: &Claims, client: &str) -> Result<(), fathom_token::Refusal> {
        let config = &self.inner.config;
        let for_us = |aud: &String| *aud == config.issuer || *aud == config.audience;
        if claims.iss != client
            || claims.sub.as_ref().is_some_and(|sub| sub != client)
            || claims.aud.as_ref().is_some_and(|aud| !for_us(aud))
        {
            return Err(fathom_token::Refusal::Audience);
        }
        let now = clock::now();
        times::check(claims.iat, claims.exp, now)?;
        let too_long = claims.exp - claims.iat > MAX_LIFETIME;
        if too_long
            || claims
                .nbf
                .is_some_and(|nbf| nbf > now.saturating_add(times::SKEW))
        {
            return Err(fathom_token::Refusal::Times);
        }
        Ok(())
    }
}

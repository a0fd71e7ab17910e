//! Bearers that a client signs itself: an HS256 JWT under its own secret that names the client as
//! issuer and lives an hour at most. A client may do so only if it was made for it.

use fathom_proto::identity::Principal;
use fathom_token::{signed, times};
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use crate::client::plausible;
use crate::{Auth, Error, Refusal, clock};

/// Longest life that a client may give its token, in seconds.
const MAX_LIFETIME: i64 = 60 * 60;

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
    /// Whose self-signed bearer this is, and when it was made; `client` is the issuer that it names.
    pub(crate) async fn self_signed(
        &self,
        token: &str,
        client: &str,
    ) -> Result<(Principal, i64), Error> {
        let header = signed::header_for(token, Algorithm::HS256)?;
        // Any other type is a JWT made for another end, such as an access token.
        if header
            .typ
            .is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT"))
        {
            return Err(fathom_token::Refusal::Header.into());
        }
        let client = plausible(client);
        let row = self.inner.store.client(client).await?;
        let signed = self.signing_secrets(client).await?.verify(token);
        // The client's state is looked at last, so that only who knows its secret can tell the
        // reasons for a refusal apart by their time.
        let (Some(row), Some((signed, secret_end))) = (row, signed) else {
            return Err(Refusal::ClientSecret.into());
        };
        row.grant.check(clock::now())?;
        let claims: Claims = signed.read()?;
        if !row.self_signed_bearer {
            return Err(Refusal::SelfSigned.into());
        }
        self.check(&claims, &row.id)?;
        let exp = row.grant.end_by(claims.exp);
        // Who remembers the answer must not do so for longer than the secret lives.
        let exp = secret_end.map_or(exp, |end| end.min(exp));
        let principal = self.principal(row.id, row.grant).await?;
        let principal = Principal {
            expires_at: Some(exp),
            ..principal
        };
        Ok((principal, claims.iat))
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
        times::begun(claims.nbf, now)?;
        if claims.exp - claims.iat > MAX_LIFETIME {
            return Err(fathom_token::Refusal::Times);
        }
        Ok(())
    }
}

//! Client assertions (RFC 7523, section 2.2): a JWT that names the client as issuer and subject and
//! this service as audience, lives for minutes, and is taken once.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fathom_proto::administration::ClientMethod;
use fathom_token::{PublicKey, Signed, signed, times};
use jsonwebtoken::{Algorithm, Header};
use serde::Deserialize;

use super::{MAX_PROOF_BYTES, admitted, plausible};
use crate::store::ClientRow;
use crate::{Auth, Error, Refusal, clock};

/// How far ahead an assertion may end, in seconds, by our clock.
const MAX_LIFETIME: i64 = 5 * 60;

/// The same for clients with libraries that know no better.
const MAX_COMPATIBLE_LIFETIME: i64 = 60 * 60;

/// Longest `jti`, in bytes.
const MAX_JTI_BYTES: usize = 256;

/// Assertions of one client that are remembered at once.
const MAX_USED: i64 = 10_000;

/// Where tokens are asked for, under the issuer.
const TOKEN_ENDPOINT: &str = "/oauth/token";

/// Claims of an assertion (RFC 7523, section 3); a repeated one is an error.
#[derive(Deserialize)]
struct Claims {
    /// The client.
    iss: String,
    /// The client again.
    sub: String,
    /// This service, as one name: of a list it would not be known for whom else it was made.
    aud: String,
    exp: i64,
    jti: String,
    iat: Option<i64>,
    nbf: Option<i64>,
}

impl Auth {
    /// The client that signed `assertion`; `named` is the one the request names beside it.
    pub(super) async fn client_by_assertion(
        &self,
        named: Option<&str>,
        assertion: &str,
        address: Option<IpAddr>,
    ) -> Result<ClientRow, Error> {
        let issuer = if assertion.len() <= MAX_PROOF_BYTES {
            signed::unverified_issuer(assertion).unwrap_or_default()
        } else {
            String::new()
        };
        let attempts = self.inner.throttle.attempts(plausible(&issuer), address);
        // A good one is taken whatever came from its address before: it costs no slow hash, and
        // who shares the address with those who guess is not kept out.
        let result = if assertion.len() > MAX_PROOF_BYTES {
            Err(Refusal::TooLong.into())
        } else if named.is_some_and(|named| named != issuer) {
            Err(fathom_token::Refusal::Audience.into())
        } else {
            self.consume(plausible(&issuer), assertion).await
        };
        match &result {
            Ok(_) => attempts.forgive().await,
            Err(Error::Refused(_)) => {
                attempts.check().await?;
                attempts.count().await;
            }
            Err(_) => {}
        }
        result
    }

    /// Verifies the assertion and takes it. It is taken last, so that only the client itself can
    /// make us remember one, and before anything is issued for it.
    async fn consume(&self, client: &str, assertion: &str) -> Result<ClientRow, Error> {
        let header = signed::header(assertion)?;
        // Any other type is a JWT made for another end, such as an access token.
        let typ = header.typ.as_deref().unwrap_or("JWT");
        if !["JWT", "client-authentication+jwt"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(typ))
        {
            return Err(fathom_token::Refusal::Header.into());
        }
        let row = self.inner.store.client(client).await?;
        let (method, signed) = if header.alg == Algorithm::HS256 {
            let signed = self.signing_secrets(client).await?.verify(assertion);
            (
                ClientMethod::ClientSecretJwt,
                signed.map(|(signed, _)| signed),
            )
        } else {
            let jwks = row.as_ref().and_then(|row| row.jwks.as_deref());
            let key = jwks.and_then(|jwks| key_for(jwks, &header));
            let signed = key.map(|key| Signed::verify(assertion, &key.decoding, key.algorithm));
            (ClientMethod::PrivateKeyJwt, signed.and_then(Result::ok))
        };
        let row = admitted(row, method, signed.is_some())?;
        let claims: Claims = signed.ok_or(fathom_token::Refusal::Signature)?.read()?;
        self.check_assertion(&claims, &row)?;
        self.use_up(&row.id, &claims).await?;
        Ok(row)
    }

    fn check_assertion(&self, claims: &Claims, client: &ClientRow) -> Result<(), Refusal> {
        let issuer = &self.inner.config.issuer;
        let rest = claims.aud.strip_prefix(issuer.as_str());
        let for_us = match rest {
            Some("") => true,
            Some(rest) => client.token_endpoint_audience && rest == TOKEN_ENDPOINT,
            None => false,
        };
        if claims.iss != client.id || claims.sub != client.id || !for_us {
            return Err(fathom_token::Refusal::Audience.into());
        }
        let now = clock::now();
        times::check(claims.iat.unwrap_or(0), claims.exp, now)?;
        times::begun(claims.nbf, now)?;
        let lifetime = if client.token_endpoint_audience {
            MAX_COMPATIBLE_LIFETIME
        } else {
            MAX_LIFETIME
        };
        if claims.exp > now.saturating_add(lifetime + times::SKEW) {
            return Err(fathom_token::Refusal::Times.into());
        }
        if claims.jti.is_empty() || claims.jti.len() > MAX_JTI_BYTES {
            return Err(fathom_token::Refusal::Claims.into());
        }
        Ok(())
    }

    async fn use_up(&self, client: &str, claims: &Claims) -> Result<(), Error> {
        let store = &self.inner.store;
        let used = store.count_used_assertions(client, clock::now()).await?;
        if used >= MAX_USED {
            return Err(Error::TooManyAssertions);
        }
        let jti_hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, claims.jti.as_bytes()));
        if store.use_assertion(client, &jti_hash, claims.exp).await? {
            Ok(())
        } else {
            Err(Refusal::Replayed.into())
        }
    }
}

/// The one of the client's keys that the header names, or the only one of its algorithm. The key
/// says what its algorithm is; the header must agree.
fn key_for(jwks: &str, header: &Header) -> Option<PublicKey> {
    let jwks = serde_json::from_str(jwks).ok()?;
    let mut keys = PublicKey::from_jwks(&jwks).ok()?;
    keys.retain(|key| key.algorithm == header.alg);
    if let Some(kid) = &header.kid {
        keys.retain(|key| key.kid.as_ref() == Some(kid));
    }
    keys.pop().filter(|_| keys.is_empty())
}

#[cfg(test)]
mod tests;

//! What both kinds of JWT have in common: who says so, under which key, and when.

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, dangerous, decode, decode_header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::Refusal;

/// How far the clocks of issuer and verifier may be apart, in seconds.
pub(crate) const SKEW: i64 = 60;

/// The issuer that a JWT names. Nothing is verified: it says only which check to make.
pub(crate) fn unverified_issuer(token: &str) -> Result<String, Refusal> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
    }
    let claims: Claims =
        dangerous::insecure_decode_claims(token).map_err(|_| Refusal::Malformed)?;
    Ok(claims.iss)
}

/// The header, whose `alg` must be the one of the key that will verify the token: the header
/// never chooses (RFC 8725, section 3.1). An extension marked critical is one we do not have
/// (RFC 7515, section 4.1.11); keys and addresses of keys in it are never used.
pub(crate) fn header(token: &str, algorithm: Algorithm) -> Result<Header, Refusal> {
    let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
    if header.alg == algorithm && header.crit.is_none() {
        Ok(header)
    } else {
        Err(Refusal::Header)
    }
}

/// Claims under a good signature. What they say is not checked yet.
pub(crate) struct Signed(Box<RawValue>);

impl Signed {
    /// The claims of `token`, if `key` signed them.
    pub(crate) fn verify(
        token: &str,
        key: &DecodingKey,
        algorithm: Algorithm,
    ) -> Result<Self, Refusal> {
        let mut signature_only = Validation::new(algorithm);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        let token = decode(token, key, &signature_only).map_err(|_| Refusal::Signature)?;
        Ok(Self(token.claims))
    }

    /// Reads the claims: `C` says which must be there and of which type, none of them twice. Their
    /// times are for [`check_times`].
    pub(crate) fn read<C: DeserializeOwned>(&self) -> Result<C, Refusal> {
        serde_json::from_str(self.0.get()).map_err(|_| Refusal::Claims)
    }
}

/// Whether a token made at `iat` to end at `exp` holds at `now`; all in seconds since the epoch.
pub(crate) fn check_times(iat: i64, exp: i64, now: i64) -> Result<(), Refusal> {
    let made = iat >= 0 && iat < exp && iat - SKEW <= now;
    if made && now - SKEW < exp {
        Ok(())
    } else {
        Err(Refusal::Times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Part of SEC-4: the edges of a token's times.
    #[test]
    fn a_token_holds_within_its_times_and_a_minute_around() {
        let (iat, exp) = (1_000, 2_000);
        for (now, holds) in [
            (iat - SKEW - 1, false),
            (iat - SKEW, true),
            (iat, true),
            (exp, true),
            (exp + SKEW - 1, true),
            (exp + SKEW, false),
            (i64::MAX, false),
        ] {
            assert_eq!(check_times(iat, exp, now).is_ok(), holds, "at {now}");
        }
        for (iat, exp) in [(5, 5), (6, 5), (-1, 5), (i64::MIN, i64::MAX)] {
            assert!(check_times(iat, exp, 5).is_err(), "{iat}..{exp}");
        }
    }
}

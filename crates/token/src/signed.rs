//! A JWT under one key, whatever its claims.

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, dangerous, decode, decode_header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::Refusal;

/// Claims under a good signature. What they say is not checked yet.
pub struct Signed(Box<RawValue>);

impl Signed {
    /// The claims of `token`, if `key` signed them with `algorithm`.
    pub fn verify(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Self, Refusal> {
        let mut signature_only = Validation::new(algorithm);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        let token = decode(token, key, &signature_only).map_err(|_| Refusal::Signature)?;
        Ok(Self(token.claims))
    }

    /// Reads the claims: `C` says which must be there and of which type, none of them twice. Their
    /// times are for [`crate::times`].
    pub fn read<C: DeserializeOwned>(&self) -> Result<C, Refusal> {
        serde_json::from_str(self.0.get()).map_err(|_| Refusal::Claims)
    }
}

/// The header of a JWT, not verified. An extension marked critical is one we do not have (RFC
/// 7515, section 4.1.11), and a payload is never unencoded (RFC 7797); keys and addresses of keys
/// in it are never used.
pub fn header(token: &str) -> Result<Header, Refusal> {
    let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
    if header.crit.is_none() && !header.extras.inner().contains_key("b64") {
        Ok(header)
    } else {
        Err(Refusal::Header)
    }
}

/// The header, whose `alg` must be the one of the key that will verify the token: the header
/// never chooses (RFC 8725, section 3.1).
pub fn header_for(token: &str, algorithm: Algorithm) -> Result<Header, Refusal> {
    let header = header(token)?;
    if header.alg == algorithm {
        Ok(header)
    } else {
        Err(Refusal::Header)
    }
}

/// The issuer that a JWT names. Nothing is verified: it says only which check to make.
pub fn unverified_issuer(token: &str) -> Result<String, Refusal> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    let claims: Issuer =
        dangerous::insecure_decode_claims(token).map_err(|_| Refusal::Malformed)?;
    Ok(claims.iss)
}

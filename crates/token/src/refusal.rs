//! Why a JWT is refused.

/// Why a JWT is refused; for the log alone, because callers get one text for every reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no JWT.
    #[error("not a jwt")]
    Malformed,
    /// Its header asks for what this kind of token does not allow.
    #[error("jwt header not allowed")]
    Header,
    /// It names a key that is not in the key set.
    #[error("jwt signed with an unknown key")]
    UnknownKey,
    /// Its signature does not hold.
    #[error("jwt signature wrong")]
    Signature,
    /// It is well signed, but a claim is missing, of another type, or there twice.
    #[error("jwt claim missing or of another type")]
    Claims,
    /// It is for another audience or subject, or from another issuer.
    #[error("jwt issued for someone else")]
    Audience,
    /// It is outside its times, or lives longer than allowed.
    #[error("jwt outside its times")]
    Times,
    /// Nothing that we know is left of its scopes.
    #[error("jwt without a scope")]
    NoScope,
}

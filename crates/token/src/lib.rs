//! JWTs as this platform reads them: the rules of RFC 8725, the claims of its access tokens
//! (RFC 9068), and verifying these with the public keys alone. The auth service signs with it,
//! every gateway verifies with it. It reads no clock, keeps no state and opens no socket.
//!
//! # Layout
//!
//! - [`Verifier`]: the access tokens of one issuer
//! - [`Claims`]: what is in an access token
//! - [`PublicKey`]: a key of a JWK set, which fixes the algorithm
//! - [`signed`]: a JWT under one key; [`times`]: whether it holds now
//! - [`Refusal`]: why a JWT is refused

mod claims;
#[cfg(test)]
mod forger;
mod public_key;
mod refusal;
pub mod signed;
pub mod times;
mod verifier;

pub use claims::{Claims, TYPE};
pub use public_key::{InvalidKey, PublicKey, SigningAlgorithm};
pub use refusal::Refusal;
pub use signed::Signed;
pub use verifier::Verifier;

//! The keys that sign access tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A signing key, without its private half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SigningKey {
    /// `kid` in the headers of its tokens.
    pub kid: String,
    /// `EdDSA`, `ES256` or `RS256`.
    pub algorithm: String,
    /// Where it is in its life.
    pub state: SigningKeyState,
    /// When it was made.
    pub created_at: i64,
    /// When it begins to sign.
    pub signs_from: i64,
    /// When it was retired.
    pub retired_at: Option<i64>,
}

/// Where a signing key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SigningKeyState {
    /// Verifiers can learn of it; it does not sign yet.
    Published,
    /// It signs.
    Signing,
    /// Another one signs; its tokens hold until they end.
    Verifying,
    /// Nothing that it signed holds.
    Retired,
}

//! What is made together with a secret.

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

/// Something new and the text of its secret, which is shown this once: its JSON is that of the
/// thing, with the secret in one member more.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "NewlyMade{T}")]
pub struct NewlyMade<T> {
    /// What was made.
    #[serde(flatten)]
    pub made: T,
    /// The secret; `None` for a client that signs with a key of its own.
    #[serde(serialize_with = "show", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub secret: Option<SecretString>,
}

fn show<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret
        .as_ref()
        .map(ExposeSecret::expose_secret)
        .serialize(serializer)
}

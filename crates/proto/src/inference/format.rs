//! What the generated text must be.

use super::Json;

/// What the text must be.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Format {
    /// Anything.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// A JSON value that a schema allows.
    JsonSchema {
        /// The caller's name for it.
        name: String,
        /// JSON Schema.
        schema: Json,
        /// Whether the caller wants it enforced; our own engine always does.
        strict: Option<bool>,
    },
}

//! `response_format`

use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// What the answer must be.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Anything.
    Text,
    /// Any JSON object.
    JsonObject,
    /// A JSON value that a schema allows.
    JsonSchema {
        /// The schema.
        json_schema: JsonSchema,
    },
}

/// The same with whatever else is said, which would be a form that is not enforced.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Read {
    Text(Nothing),
    JsonObject(Nothing),
    JsonSchema {
        json_schema: JsonSchema,
        #[serde(flatten)]
        _rest: Nothing,
    },
}

impl<'de> Deserialize<'de> for ResponseFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Read::deserialize(deserializer)? {
            Read::Text(Nothing) => Self::Text,
            Read::JsonObject(Nothing) => Self::JsonObject,
            Read::JsonSchema { json_schema, .. } => Self::JsonSchema { json_schema },
        })
    }
}

/// An object without members, but for those that are `null`.
struct Nothing;

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for Nothing {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing else")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if map.next_value::<Option<IgnoredAny>>()?.is_some() {
                return Err(A::Error::unknown_field(&name, &[]));
            }
        }
        Ok(self)
    }
}

/// A named schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonSchema {
    /// The caller's name for it.
    #[serde(default)]
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema; any JSON value when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("type" = ["object", "boolean", "null"]))]
    pub schema: Option<Value>,
    /// Whether it is enforced; here it always is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

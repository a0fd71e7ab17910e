//! Newtypes for names and ids, so that a tenant is never passed where a model is meant.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! string_id {
    ($($(#[$doc:meta])+ $name:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                String::json_schema(generator)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

string_id! {
    /// One request at the public edge, as in the `x-request-id` header.
    RequestId;
    /// A customer of the platform; everything billed or limited belongs to one.
    TenantId;
    /// Who asks within a tenant, as the gateway tells them apart: the caller's word for one of its
    /// users, or else the client.
    UserId;
    /// A model name as clients use it, for example `deepseek-chat`.
    ModelId;
    /// One running worker process.
    WorkerId;
}

impl RequestId {
    /// A fresh id; ids made later sort later (UUID version 7, RFC 9562).
    #[must_use]
    pub fn generate() -> Self {
        Self::from(uuid::Uuid::now_v7().simple().to_string())
    }
}

impl WorkerId {
    /// A fresh id for a worker process.
    #[must_use]
    pub fn generate() -> Self {
        Self::from(uuid::Uuid::now_v7().simple().to_string())
    }
}

//! Wire messages to and from domain types. Decoding checks what protobuf cannot express, so that
//! nothing behind it meets a half-filled message.

pub(crate) mod administration;
pub(crate) mod chat;
pub(crate) mod embedding;
pub(crate) mod event;
pub(crate) mod identity;
pub(crate) mod inference;
pub(crate) mod models;
pub(crate) mod router;
pub(crate) mod worker;

use crate::Error;

/// A required field that is not there.
pub(crate) fn missing(field: &str) -> Error {
    Error::invalid(field, format!("field `{field}` is required"))
}

//! The error body of every endpoint.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `{"error": …}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody<'a> {
    /// What is wrong.
    pub error: ErrorObject<'a>,
}

/// All four keys are always there; SDKs rely on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorObject<'a> {
    /// For people: what is wrong and what would be right.
    pub message: Cow<'a, str>,
    /// Class of the error.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// The request field at fault.
    pub param: Option<Cow<'a, str>>,
    /// For programs: the stable name of the error.
    pub code: Option<Cow<'a, str>>,
}

impl ErrorObject<'_> {
    /// The same, of its own.
    #[must_use]
    pub fn into_owned(self) -> ErrorObject<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        ErrorObject {
            message: own(self.message),
            kind: own(self.kind),
            param: self.param.map(own),
            code: self.code.map(own),
        }
    }
}

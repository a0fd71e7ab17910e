//! What goes wrong in a simulated engine: `faults` of its configuration, and the field `sim` of a
//! request.

use std::num::NonZeroU64;
use std::time::Duration;

use fathom_proto::ErrorCode;
use serde::{Deserialize, Serialize};

/// Something that goes wrong. Fields that a kind has no use for have no effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimFault {
    /// What.
    pub kind: SimFaultKind,
    /// Tokens of the whole answer that come before it. An answer that goes on from so many or more
    /// does not meet it, unless it is 0.
    #[serde(default)]
    pub after: u32,
    /// The error of `fail`, by its name in the error table.
    #[serde(default = "worker_failed", with = "code_by_name")]
    pub code: ErrorCode,
    /// When the error of `fail` says to come again.
    #[serde(default, with = "humantime_serde")]
    pub retry_after: Option<Duration>,
    /// How much later the first token of `slow` comes.
    #[serde(default, with = "humantime_serde")]
    pub ttft: Duration,
    /// How much later each further token of `slow` comes.
    #[serde(default, with = "humantime_serde")]
    pub inter_token: Duration,
    /// It meets each so-manyth request; in the configuration only.
    #[serde(default = "every_one")]
    pub every: NonZeroU64,
}

impl SimFault {
    /// A fault that meets every request before its first token.
    #[must_use]
    pub const fn new(kind: SimFaultKind) -> Self {
        Self {
            kind,
            after: 0,
            code: worker_failed(),
            retry_after: None,
            ttft: Duration::ZERO,
            inter_token: Duration::ZERO,
            every: every_one(),
        }
    }
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SimFaultKind {
    /// The stream ends with an error.
    Fail,
    /// Nothing more is ever sent.
    Stall,
    /// The stream ends as if nothing were missing.
    Cut,
    /// Tokens are late.
    Slow,
    /// The text of every further token is noise.
    Garbage,
    /// The generation starts a second time.
    Restart,
    /// The request is refused, as if the queue were full.
    Full,
    /// The engine panics.
    Panic,
}

const fn worker_failed() -> ErrorCode {
    ErrorCode::WorkerFailed
}

const fn every_one() -> NonZeroU64 {
    NonZeroU64::MIN
}

mod code_by_name {
    use fathom_proto::ErrorCode;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(code: &ErrorCode, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(code.row().name)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ErrorCode, D::Error> {
        let name = String::deserialize(from)?;
        ErrorCode::from_name(&name).ok_or_else(|| {
            let known = ErrorCode::ALL.map(|code| code.row().name).join(", ");
            de::Error::custom(format!("`{name}` is no error code; known are {known}"))
        })
    }
}

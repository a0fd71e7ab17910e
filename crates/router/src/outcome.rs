//! How one attempt on a worker ended.

use fathom_proto::ErrorCode;

/// How one attempt on a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was complete.
    Finished,
    /// The caller went away, or another attempt was faster.
    Dropped,
    /// It failed, at its begin or later.
    Failed(ErrorCode),
}

impl Outcome {
    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Dropped => "dropped",
            Self::Failed(code) => code.row().name,
        }
    }
}

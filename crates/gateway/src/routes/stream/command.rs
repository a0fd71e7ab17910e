//! What a client says on a socket with many requests, read.

use std::borrow::Cow;

use fathom_api::stream::lanes::{CANCEL, CREATE, Cancel, Create, Kind, RESUME, Resume, ResumeFrom};
use fathom_proto::Error;
use serde_json::value::RawValue;

use super::lane::StreamId;
use crate::error::ApiError;
use crate::json;

/// A message that can be taken.
pub enum Command<'t> {
    /// Begins a lane.
    Create {
        /// What it is called.
        id: StreamId,
        /// What it is asked.
        request: &'t RawValue,
        /// Whether it may be taken up again.
        resume: bool,
    },
    /// Takes up a lane of another socket.
    Resume {
        /// What it is called.
        id: StreamId,
        /// Where it goes on.
        from: ResumeFrom<'t>,
    },
    /// Ends a lane.
    Cancel(StreamId),
}

/// A message that cannot be taken.
pub struct Refused {
    /// The lane that it names, if it does.
    pub stream_id: Option<StreamId>,
    /// What is wrong.
    pub error: Error,
}

impl From<Error> for Refused {
    /// One that names no lane.
    fn from(error: Error) -> Self {
        Self {
            stream_id: None,
            error,
        }
    }
}

impl<'t> Command<'t> {
    /// Reads a message.
    pub fn read(text: &'t str) -> Result<Self, Refused> {
        let kind = json::part::<Kind<'_>>(text.as_bytes());
        let kind = kind.map_err(|ApiError(error)| Refused::from(error))?;
        Self::of_kind(&kind.kind, text.as_bytes()).map_err(|ApiError(error)| Refused {
            stream_id: kind.stream_id.and_then(name),
            error,
        })
    }

    fn of_kind(kind: &str, text: &'t [u8]) -> Result<Self, ApiError> {
        Ok(match kind {
            CREATE => {
                let create: Create<'_> = json::parse(text)?;
                Self::Create {
                    id: StreamId::new(&create.stream_id)?,
                    request: create.request,
                    resume: create.resume,
                }
            }
            RESUME => {
                let resume: Resume<'_> = json::parse(text)?;
                Self::Resume {
                    id: StreamId::new(&resume.stream_id)?,
                    from: resume.resume_from,
                }
            }
            CANCEL => {
                let cancel: Cancel<'_> = json::parse(text)?;
                Self::Cancel(StreamId::new(&cancel.stream_id)?)
            }
            _ => {
                let message = "`type` must be `response.create`, `response.resume` or `cancel` on \
                               this socket";
                return Err(ApiError::invalid("type", message));
            }
        })
    }
}

/// What a member holds, if that can be the name of a lane; what is none is not repeated.
fn name(member: &RawValue) -> Option<StreamId> {
    let text: Cow<'_, str> = serde_json::from_str(member.get()).ok()?;
    StreamId::new(&text).ok()
}

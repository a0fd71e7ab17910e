//! Messages of a multiplexed socket: `response.create` begins an answer under a name that the
//! client chose, a *lane*, `response.resume` takes one up again that lost its socket, and `cancel`
//! ends one; `chunk`s and one last message come back.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::AnsweredBy;
use crate::error::ErrorObject;
use crate::usage::Usage;

/// `type` of the message that begins a lane; as the first request it makes a socket multiplexed.
pub const CREATE: &str = "response.create";
/// `type` of the message that takes a lane of another socket up again.
pub const RESUME: &str = "response.resume";
/// `type` of the message that ends a lane.
pub const CANCEL: &str = "cancel";

/// What every message has, whatever else is in it.
#[derive(Deserialize)]
pub struct Kind<'a> {
    /// What kind of message it is.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// What the client calls the lane, if it is about one; it may be anything.
    #[serde(default, borrow)]
    pub stream_id: Option<&'a RawValue>,
}

/// Begins a lane.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create<'a> {
    /// [`CREATE`].
    #[serde(rename = "type")]
    pub kind: IgnoredAny,
    /// What the client calls the lane.
    #[serde(borrow)]
    pub stream_id: Cow<'a, str>,
    /// The body of a chat, or with a `prompt` that of a completion.
    #[serde(borrow)]
    pub request: &'a RawValue,
    /// Whether the lane may be taken up again when its socket breaks.
    #[serde(default)]
    pub resume: bool,
}

/// Takes a lane of another socket up again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume<'a> {
    /// [`RESUME`].
    #[serde(rename = "type")]
    pub kind: IgnoredAny,
    /// What the lane has been called from its beginning.
    #[serde(borrow)]
    pub stream_id: Cow<'a, str>,
    /// Where to go on.
    #[serde(borrow)]
    pub resume_from: ResumeFrom<'a>,
}

/// Where a lane goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeFrom<'a> {
    /// Id of the request, as `created` has it.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// `seq` of the last message received; absent: none was.
    #[serde(default)]
    pub seq: Option<u64>,
}

/// Ends a lane.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel<'a> {
    /// [`CANCEL`].
    #[serde(rename = "type")]
    pub kind: IgnoredAny,
    /// Which lane.
    #[serde(borrow)]
    pub stream_id: Cow<'a, str>,
}

/// What the server says. A message with `seq` belongs to a lane, and every one but a `chunk` is its
/// last; an error without `seq` is about a message that began none. `created` is there where a lane
/// is to be taken up again, before everything else of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LaneMessage<'a> {
    /// An event of the answer; written by [`write_chunk`].
    Chunk {
        /// Which lane.
        stream_id: Cow<'a, str>,
        /// Position in the lane, from 0.
        seq: u64,
        /// What an event of an event stream has.
        data: serde_json::Value,
    },
    /// A lane that is to be taken up again has begun.
    Created {
        /// Which lane.
        stream_id: Cow<'a, str>,
        /// Id of the request.
        id: Cow<'a, str>,
        /// Whether it can be; `false`: this server keeps as many as it may.
        resume: bool,
    },
    /// The answer is complete.
    Done {
        /// Which lane.
        stream_id: Cow<'a, str>,
        /// Position in the lane.
        seq: u64,
        /// Id of the request.
        id: Cow<'a, str>,
        /// Token counts.
        usage: Usage,
        /// What answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fathom: Option<AnsweredBy>,
    },
    /// The client has cancelled the lane.
    Cancelled {
        /// Which lane.
        stream_id: Cow<'a, str>,
        /// Position in the lane.
        seq: u64,
        /// Id of the request.
        id: Cow<'a, str>,
        /// Token counts up to here; absent: nothing was begun.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
    },
    /// The request, or a message, is refused or failed.
    Error {
        /// HTTP status that the REST endpoint would have answered with.
        status: u16,
        /// Which lane it is about, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stream_id: Option<Cow<'a, str>>,
        /// Position in the lane; absent: it ends none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        /// Id of the request, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<Cow<'a, str>>,
        /// What is wrong.
        error: ErrorObject<'a>,
        /// When a retry may succeed, where it may.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

/// A `chunk` whose `data` is JSON already. `stream_id` is of characters that need no escape.
#[must_use]
pub fn write_chunk(stream_id: &str, seq: u64, data: &[u8]) -> Vec<u8> {
    let head = format!(r#"{{"type":"chunk","stream_id":"{stream_id}","seq":{seq},"data":"#);
    let mut message = Vec::with_capacity(head.len() + data.len() + 1);
    message.extend_from_slice(head.as_bytes());
    message.extend_from_slice(data);
    message.push(b'}');
    message
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_written_chunk_is_the_chunk_that_is_read() {
        let written = write_chunk("a.b-c_9", 7, br#"{"choices":[]}"#);
        let read: LaneMessage<'_> = serde_json::from_slice(&written).unwrap();
        let expected = LaneMessage::Chunk {
            stream_id: "a.b-c_9".into(),
            seq: 7,
            data: json!({"choices": []}),
        };
        assert_eq!(read, expected);
    }
}

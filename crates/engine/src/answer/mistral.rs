//! `[TOOL_CALLS][{"name": …, "arguments": {…}}, …]`, all calls in one list.

use super::cursor::{Cursor, Stop};
use super::object;
use super::syntax::Header;

pub(super) const BEGIN: &str = "[TOOL_CALLS]";

pub(super) fn rule(bodies: &str, parallel: bool) -> String {
    let further = if parallel { " (\", \" call)*" } else { "" };
    format!("calls: \"[\" call{further} \"]\"\ncall: {bodies}\n")
}

pub(super) fn header(text: &mut Cursor<'_>, first: bool) -> Result<Header, Stop> {
    if first {
        text.literal(BEGIN)?;
        text.space();
        text.literal("[")?;
    } else {
        text.space();
        if text.optional("]")? {
            return Ok(Header::End);
        }
        text.literal(",")?;
    }
    text.space();
    object::header(text)
}

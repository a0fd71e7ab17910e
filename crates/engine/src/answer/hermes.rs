//! `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, one for each call.

use super::cursor::{Cursor, Stop};
use super::object;
use super::syntax::Header;

pub(super) const BEGIN: &str = "<tool_call>";
pub(super) const END: &str = "</tool_call>";

pub(super) fn rule(bodies: &str, parallel: bool, mark: &dyn Fn(&str) -> String) -> String {
    let (begin, end) = (mark(BEGIN), mark(END));
    let further = match parallel {
        true => format!(" (\"\\n\" {begin} call)*"),
        false => String::new(),
    };
    format!("calls: call{further}\ncall: \"\\n\" ({bodies}) \"\\n\" {end}\n")
}

pub(super) fn header(text: &mut Cursor<'_>) -> Result<Header, Stop> {
    let mut ahead = *text;
    ahead.space();
    if !ahead.optional(BEGIN)? {
        return Ok(Header::End);
    }
    ahead.space();
    let header = object::header(&mut ahead)?;
    *text = ahead;
    Ok(header)
}

pub(super) fn tail(text: &mut Cursor<'_>) -> Result<(), Stop> {
    object::tail(text)?;
    end(text)
}

/// A model that ends its answer may leave the closing tag out.
pub(super) fn end(text: &mut Cursor<'_>) -> Result<(), Stop> {
    text.space();
    text.optional(END).map(|_| ())
}

//! `{"name": …, "parameters": {…}}` as the whole answer; further calls after a
//! semicolon.

use super::cursor::{Cursor, Stop};
use super::object;
use super::syntax::Header;

/// Some of these models write it before a call.
pub(super) const TAG: &str = "<|python_tag|>";

pub(super) fn header(text: &mut Cursor<'_>, first: bool) -> Result<Header, Stop> {
    let mut ahead = *text;
    ahead.space();
    if first {
        ahead.optional(TAG)?;
    } else if !ahead.optional(";")? {
        return Ok(Header::End);
    }
    ahead.space();
    let header = object::header(&mut ahead)?;
    *text = ahead;
    Ok(header)
}

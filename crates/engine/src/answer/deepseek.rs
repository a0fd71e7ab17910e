//! `<｜tool▁calls▁begin｜>…<｜tool▁calls▁end｜>` around calls between markers of
//! their own.

use super::cursor::{Cursor, Stop};
use super::object::quote;
use super::syntax::Header;

pub(super) const BEGIN: &str = "<｜tool▁calls▁begin｜>";
const END: &str = "<｜tool▁calls▁end｜>";
const CALL_BEGIN: &str = "<｜tool▁call▁begin｜>";
const CALL_END: &str = "<｜tool▁call▁end｜>";
const SEPARATOR: &str = "<｜tool▁sep｜>";
pub(super) const MARKERS: [&str; 5] = [BEGIN, END, CALL_BEGIN, CALL_END, SEPARATOR];

pub(super) fn rule(bodies: &str, parallel: bool, mark: &dyn Fn(&str) -> String) -> String {
    let further = if parallel { " (\"\\n\" call)*" } else { "" };
    let [_, end, call_begin, call_end, _] = MARKERS.map(mark);
    format!("calls: call{further} {end}\ncall: {call_begin} ({bodies}) {call_end}\n")
}

/// With the arguments in a Markdown block.
pub(super) fn fenced_body(name: &str, mark: &dyn Fn(&str) -> String) -> (String, String) {
    let named = quote(&format!("{name}\n```json\n"));
    let before = format!("\"function\" {} {named}", mark(SEPARATOR));
    (before, quote("\n```"))
}

pub(super) fn plain_body(name: &str, mark: &dyn Fn(&str) -> String) -> (String, String) {
    let before = format!("{} {}", quote(name), mark(SEPARATOR));
    (before, String::new())
}

pub(super) fn header(text: &mut Cursor<'_>, first: bool) -> Result<Header, Stop> {
    if first {
        text.literal(BEGIN)?;
    }
    text.space();
    if !first && text.optional(END)? {
        return Ok(Header::End);
    }
    text.literal(CALL_BEGIN)?;
    let kind = text.until(SEPARATOR)?;
    let fenced = kind == "function" && text.peek()? != '{';
    let name = if fenced { text.until("\n")? } else { kind };
    if fenced {
        text.literal("```json")?;
    }
    text.space();
    text.peek()?;
    let name = name.trim().to_owned();
    Ok(Header::Call { name })
}

pub(super) fn tail(text: &mut Cursor<'_>) -> Result<(), Stop> {
    text.space();
    text.optional("```")?;
    text.space();
    text.literal(CALL_END)
}

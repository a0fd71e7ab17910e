//! Calls that are JSON objects.

use super::cursor::{Cursor, Stop};
use super::syntax::Header;

/// Reads an object up to its arguments, or all of it if they come before the
/// name.
pub(super) fn header(text: &mut Cursor<'_>) -> Result<Header, Stop> {
    text.literal("{")?;
    let mut name = None;
    let mut arguments = None;
    loop {
        text.space();
        let key = text.string()?;
        colon(text)?;
        match (key.as_str(), &name) {
            ("name", _) => name = Some(text.string()?),
            ("arguments" | "parameters", Some(name)) => {
                return Ok(Header::Call { name: name.clone() });
            }
            ("arguments" | "parameters", None) => arguments = Some(text.value()?.to_owned()),
            _ => {
                text.value()?;
            }
        }
        text.space();
        if text.optional("}")? {
            return Ok(Header::Whole {
                name: name.ok_or(Stop::Mismatch)?,
                arguments: arguments.unwrap_or_else(|| "{}".to_owned()),
            });
        }
        text.literal(",")?;
    }
}

/// Reads the rest of an object after its arguments.
pub(super) fn tail(text: &mut Cursor<'_>) -> Result<(), Stop> {
    loop {
        text.space();
        if text.optional("}")? {
            return Ok(());
        }
        text.literal(",")?;
        text.space();
        text.string()?;
        colon(text)?;
        text.value()?;
    }
}

/// Reads a colon and up to the value after it.
fn colon(text: &mut Cursor<'_>) -> Result<(), Stop> {
    text.space();
    text.literal(":")?;
    text.space();
    text.peek().map(|_| ())
}

/// What a grammar reads around the arguments of a call of `name`, which are
/// under `key`.
pub(super) fn body(name: &str, key: &str) -> (String, String) {
    let name = serde_json::Value::from(name);
    let before = format!("{{\"name\": {name}, \"{key}\": ");
    (quote(&before), quote("}"))
}

/// `text` as a string of a grammar.
pub(super) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

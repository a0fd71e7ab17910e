//! Reads text of which more may come.

use super::value::JsonValue;

/// A place in text.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// Why reading ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Only more text can tell.
    More,
    /// The text is something else.
    Mismatch,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Reads whitespace, if any.
    pub(super) fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// The next character, left where it is.
    pub(super) fn peek(&self) -> Result<char, Stop> {
        self.rest().chars().next().ok_or(Stop::More)
    }

    /// Reads `literal`.
    pub(super) fn literal(&mut self, literal: &str) -> Result<(), Stop> {
        if self.rest().starts_with(literal) {
            self.at += literal.len();
            Ok(())
        } else if literal.starts_with(self.rest()) {
            Err(Stop::More)
        } else {
            Err(Stop::Mismatch)
        }
    }

    /// Reads `literal` if it is there.
    pub(super) fn optional(&mut self, literal: &str) -> Result<bool, Stop> {
        match self.literal(literal) {
            Ok(()) => Ok(true),
            Err(Stop::Mismatch) => Ok(false),
            Err(Stop::More) => Err(Stop::More),
        }
    }

    /// Reads up to `end` and over it; what came before.
    pub(super) fn until(&mut self, end: &str) -> Result<&'a str, Stop> {
        let (before, _) = self.rest().split_once(end).ok_or(Stop::More)?;
        self.at += before.len() + end.len();
        Ok(before)
    }

    /// Reads a whole JSON value.
    pub(super) fn value(&mut self) -> Result<&'a str, Stop> {
        let rest = self.rest();
        let end = JsonValue::default().push(rest).ok_or(Stop::More)?;
        self.at += end;
        Ok(&rest[..end])
    }

    /// Reads a whole JSON string.
    pub(super) fn string(&mut self) -> Result<String, Stop> {
        if self.peek()? != '"' {
            return Err(Stop::Mismatch);
        }
        serde_json::from_str(self.value()?).map_err(|_| Stop::Mismatch)
    }
}

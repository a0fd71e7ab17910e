//! Objects of a request that are read member by member: an error says where, and what nobody took
//! is refused. `null` counts as absent.

use fathom_api::sampling::Extra;
use serde_json::Value;

use crate::error::ApiError;
use crate::json::shortened;

/// The members of an object that were not taken yet.
pub struct Object {
    /// Where it is in the body; empty for the body itself.
    at: String,
    members: Extra,
}

impl Object {
    /// The object at a place of the body.
    pub fn new(at: impl Into<String>, members: Extra) -> Self {
        Self {
            at: at.into(),
            members,
        }
    }

    /// What a value has to be that stands at a place of the body.
    pub fn of(at: String, value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(members) => Ok(Self { at, members }),
            _ => Err(ApiError::invalid(
                at.as_str(),
                format!("`{at}` must be an object"),
            )),
        }
    }

    /// Where a member is in the body.
    pub fn path(&self, name: &str) -> String {
        match self.at.as_str() {
            "" => name.to_owned(),
            at => format!("{at}.{name}"),
        }
    }

    /// A refusal of a member.
    pub fn invalid(&self, name: &str, problem: &str) -> ApiError {
        let path = shortened(self.path(name));
        let message = format!("`{path}` {problem}");
        ApiError::invalid(path, message)
    }

    /// Any value.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.members
            .shift_remove(name)
            .filter(|value| !value.is_null())
    }

    /// A text.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(name, "must be a string")),
        }
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &str) -> Result<String, ApiError> {
        self.text(name)?
            .ok_or_else(|| self.invalid(name, "is missing"))
    }

    /// A text that is one of a few words.
    pub fn word(&mut self, name: &str, words: &[&str]) -> Result<Option<String>, ApiError> {
        let word = self.text(name)?;
        match &word {
            Some(word) if !words.contains(&word.as_str()) => {
                let problem = format!("must be one of `{}`", words.join("`, `"));
                Err(self.invalid(name, &problem))
            }
            _ => Ok(word),
        }
    }

    /// Yes or no.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.invalid(name, "must be `true` or `false`")),
        }
    }

    /// A list.
    pub fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, ApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(_) => Err(self.invalid(name, "must be a list")),
        }
    }

    /// An object.
    pub fn object(&mut self, name: &str) -> Result<Option<Self>, ApiError> {
        let path = self.path(name);
        self.value(name)
            .map(|value| Self::of(path, value))
            .transpose()
    }

    /// Members that change nothing here.
    pub fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.members.shift_remove(*name);
        }
    }

    /// A member that passes with these values, which ask for nothing.
    pub fn nothing_but(&mut self, name: &str, values: &[Value]) -> Result<(), ApiError> {
        match self.value(name) {
            Some(value) if !values.contains(&value) => Err(self.unsupported(name)),
            _ => Ok(()),
        }
    }

    /// Refuses what nobody took.
    pub fn end(self) -> Result<(), ApiError> {
        let mut left = self.members.iter().filter(|(_, value)| !value.is_null());
        match left.next() {
            Some((name, _)) => Err(self.unsupported(name)),
            None => Ok(()),
        }
    }

    fn unsupported(&self, name: &str) -> ApiError {
        self.invalid(name, "is not supported here; leave it out")
    }
}

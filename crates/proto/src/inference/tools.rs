//! Functions that a model may call.

use super::Json;

/// Functions that a model may call, and whether it must.
#[derive(Clone, PartialEq, Eq)]
pub struct Tools {
    /// The functions; at least one.
    pub functions: Vec<Function>,
    /// Whether the model must call one.
    pub choice: ToolChoice,
    /// Whether it may call several in one turn.
    pub parallel: bool,
}

/// Something that the model may ask the caller to do.
#[derive(Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of its arguments; `None`: it has none.
    pub parameters: Option<Json>,
    /// Whether the caller wants the schema enforced; our own engine always does.
    pub strict: Option<bool>,
}

/// Whether the model calls a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it sees fit.
    Auto,
    /// It must not.
    None,
    /// It must call one or more.
    Required,
    /// It must call this one.
    Named(String),
}

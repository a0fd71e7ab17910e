//! What an answer is made of: thoughts, text and calls of functions.

mod cursor;
mod deepseek;
mod hermes;
mod llama;
mod mistral;
mod object;
mod parser;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

pub use parser::{AnswerParser, AnswerPiece};
pub use syntax::CallSyntax;

/// Opens the thoughts of a model that thinks first.
pub(crate) const THINK_OPEN: &str = "<think>";
/// Closes them.
pub(crate) const THINK_CLOSE: &str = "</think>";

/// How the text that follows one prompt is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerStyle {
    /// Whether it begins with thoughts.
    pub thinking: Thinking,
    /// How functions are called in it; not at all when absent.
    pub calls: Option<CallSyntax>,
}

/// Whether an answer begins with thoughts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// The model does not think.
    Never,
    /// If its first tag says so.
    Maybe,
    /// The prompt has opened them already.
    Begun,
}

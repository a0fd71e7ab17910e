//! What a generated text must be.

mod compiler;
mod error;
mod grammar;
mod schema;

use llguidance::Matcher;
use toktrie::SimpleVob;

pub(crate) use compiler::Compiler;
pub use error::ConstraintError;
pub(crate) use grammar::Marker;

use crate::{AnswerStyle, EngineError, Token};

/// What an answer must be.
///
/// It has no `Debug`, which would carry what callers wrote into log lines.
#[derive(Clone)]
pub struct Form {
    /// How the model writes answers. Thoughts come before what the form asks
    /// for.
    pub style: AnswerStyle,
    /// What the text must be.
    pub text: TextForm,
    /// The functions that may be called.
    pub calls: Option<CallForm>,
}

/// What the text of an answer must be.
#[derive(Clone)]
pub enum TextForm {
    /// Anything.
    Free,
    /// Any JSON object.
    JsonObject,
    /// A JSON value that this JSON Schema allows.
    JsonSchema(String),
}

/// Which functions an answer may call.
#[derive(Clone)]
pub struct CallForm {
    /// The functions.
    pub functions: Vec<CallableFunction>,
    /// Whether one has to be called, instead of any text.
    pub required: bool,
    /// Whether several may be called.
    pub parallel: bool,
}

/// A function that may be called.
#[derive(Clone)]
pub struct CallableFunction {
    /// Its name.
    pub name: String,
    /// JSON Schema of its arguments, which are an object.
    pub parameters: String,
}

/// A compiled constraint: only tokens that it allows are sampled, and the text
/// ends only where it is complete.
pub struct Constraint(Matcher);

impl Constraint {
    /// The tokens that may come next; those that end the text if it is complete.
    pub(crate) fn allowed(&mut self) -> Result<SimpleVob, EngineError> {
        self.0.compute_mask_or_eos().map_err(|_| too_hard())
    }

    /// Notes that `token`, which was not chosen here, came next, if it may; whether it may.
    pub(crate) fn admit(&mut self, token: Token) -> Result<bool, EngineError> {
        if self.is_complete() {
            return Ok(false);
        }
        let taken = self.0.try_consume_tokens(&[token.0.cast_unsigned()]);
        taken.map(|taken| taken == 1).map_err(|_| too_hard())
    }

    /// Whether nothing but the end may come next.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.is_stopped()
    }

    /// Notes that `token`, an allowed one, came next.
    pub(crate) fn accept(&mut self, token: Token) -> Result<(), EngineError> {
        // A matcher that has stopped takes nothing more, not even what it asked for.
        if self.is_complete() {
            return Ok(());
        }
        self.0
            .consume_token(token.0.cast_unsigned())
            .map_err(|_| too_hard())
    }
}

/// The matcher's own words quote the grammar, which is the caller's.
fn too_hard() -> EngineError {
    tracing::warn!("a grammar is too hard to follow");
    EngineError::Constraint
}

//! What reads tokens and tells what may follow them.

use crate::scheduler::Plan;
use crate::{EngineError, LoadError, Token};

/// A model that the decode loop works with: llama.cpp's, or a test's stand-in.
pub(crate) trait Model {
    /// Holds what was read. Nothing is known about its state after a failure.
    type Context;

    /// An empty context.
    fn open(&self) -> Result<Self::Context, LoadError>;

    /// Makes the changes of `plan`, then reads its rows.
    fn decode(&self, context: &mut Self::Context, plan: &Plan) -> Result<(), EngineError>;

    /// How probable each token of the vocabulary is after a row of the last
    /// batch, which asked for it.
    fn logits<'c>(&self, context: &'c Self::Context, row: usize) -> &'c [f32];

    /// Tokens of the vocabulary.
    fn vocabulary(&self) -> i32;

    /// The bytes of a token; none for a control token.
    fn piece(&self, token: Token) -> Vec<u8>;

    /// The text of a control token.
    fn control_piece(&self, token: Token) -> Vec<u8>;

    /// Whether the model ends its text with this token.
    fn ends_text(&self, token: Token) -> bool;
}

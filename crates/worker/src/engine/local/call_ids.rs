//! Names of the calls of an answer.

use aws_lc_rs::digest::{Context, SHA256};
use fathom_engine::Token;
use fathom_proto::id::RequestId;

/// Bytes of a name that tell it from others.
const UNIQUE: usize = 12;

/// Names calls by the request and all tokens before them, so that another worker that goes on
/// with the answer gives the same names, and no other answer does.
pub(super) struct CallIds(Context);

impl CallIds {
    /// The names of an answer to this request.
    pub fn of(request: &RequestId) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(request.as_str().as_bytes());
        Self(context)
    }

    /// The answer goes on with these tokens.
    pub fn follow(&mut self, tokens: &[Token]) {
        for token in tokens {
            self.0.update(&token.0.to_le_bytes());
        }
    }

    /// The name of a call that begins here, the so-manyth of the answer.
    pub fn name(&self, index: u32) -> String {
        let mut context = self.0.clone();
        context.update(&index.to_le_bytes());
        let digest = context.finish();
        let digits = digest.as_ref().iter().take(UNIQUE);
        digits.fold("call_".to_owned(), |name, byte| format!("{name}{byte:02x}"))
    }
}

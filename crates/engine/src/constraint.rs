//! What a generated text must be.

use llama_cpp_2::sampling::LlamaSampler;

/// A compiled constraint: only tokens that it allows are sampled.
pub struct Constraint(LlamaSampler);

impl Constraint {
    /// The sampler that leaves only the allowed tokens; the first of a chain.
    pub(crate) fn into_sampler(self) -> LlamaSampler {
        self.0
    }
}

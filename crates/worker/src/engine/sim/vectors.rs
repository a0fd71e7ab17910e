//! Vectors of a simulated engine.

use fathom_proto::inference::EmbedInput;

use crate::engine::sim::words::{Words, scramble};

/// The vector of a text, a function of its words: of length 1, with so many dimensions.
pub(super) fn vector(input: &EmbedInput, dimensions: usize) -> (Vec<f32>, u32) {
    let words = Words::of(input);
    let mut state = words.history();
    let mut vector: Vec<f32> = (0..dimensions)
        .map(|_| {
            state = scramble(state.wrapping_add(1));
            (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
        })
        .collect();
    let length = vector.iter().map(|part| part * part).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|part| *part /= length);
    }
    (vector, words.prompt_tokens())
}

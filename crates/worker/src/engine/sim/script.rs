//! What a simulated engine says, told in advance.

use fathom_proto::inference::Prompt;

use crate::engine::sim::words::Words;

/// The first `tokens` tokens that every simulated engine answers `prompt` with, and how many
/// tokens the prompt has: for those who compare what came with what should have come.
#[must_use]
pub fn sim_script(prompt: &Prompt, seed: Option<u64>, tokens: u32) -> (Vec<String>, u32) {
    let mut words = Words::after(prompt, seed);
    let prompt_tokens = words.prompt_tokens();
    let script = (0..tokens).map(|_| words.next().text).collect();
    (script, prompt_tokens)
}

//! Texts that overflow a stack or cannot fit.

use fathom_engine::PromptError;

use crate::harness::{Result, chat, weights};
use crate::python::weights_with;

/// Every kind of character in one long stretch, and words with single spaces.
fn unbroken(characters: usize) -> impl Iterator<Item = String> {
    let stretches = ["a", "A", "7", "é", "中", "?", " ", "\n", "a b "];
    stretches.map(|text| text.repeat(characters)).into_iter()
}

/// llama.cpp matches the pattern of this vocabulary, and of many others, with `std::regex`, which
/// recurses for each character.
#[test]
fn a_long_unbroken_text_overflows_no_stack() -> Result {
    const LIMIT: usize = 256 * 1024;
    let weights = weights_with(&["tokenizer.ggml.pre=tekken"])?;
    for text in unbroken(60_000) {
        assert!(!weights.tokenize(&text)?.is_empty());
    }
    let chatted = weights.render_chat(&chat(&"a".repeat(60_000)), &[])?;
    assert!(!chatted.is_empty());
    assert!(!weights.tokenize(&"a".repeat(LIMIT))?.is_empty());
    let refused = weights.tokenize(&"a".repeat(LIMIT + 1));
    let Err(error @ PromptError::Unbroken { limit: LIMIT }) = refused else {
        return Err("it was tokenized".into());
    };
    assert!(error.to_string().contains("262144"));
    Ok(())
}

#[test]
fn a_text_that_fits_no_context_is_refused_unread() -> Result {
    let weights = weights()?.for_context(64);
    let long = "word ".repeat(1_000_000);
    let refusals = [
        weights.tokenize(&long),
        weights.render_chat(&chat(&long), &[]),
    ];
    for refused in refusals {
        let Err(PromptError::TooLong { tokens }) = refused else {
            return Err("it was tokenized".into());
        };
        assert!((65..=1_000_000).contains(&tokens), "{tokens}");
    }
    // One that has too many tokens and might have had fewer is for the engine to refuse.
    assert!(weights.tokenize(&"word ".repeat(80))?.len() > 64);
    Ok(())
}

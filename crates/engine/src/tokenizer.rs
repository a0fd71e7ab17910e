//! llama.cpp's tokenizer, kept from what no context takes and from running over
//! its stack.

use std::panic::resume_unwind;
use std::sync::PoisonError;
use std::thread;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::vocab::VocabType;

use crate::{PromptError, Token, Weights};

/// Characters of a stretch that is tokenized at most.
const MOST_UNBROKEN: usize = 256 * 1024;

/// Stack for each character of a stretch. Where llama.cpp has no code of its own
/// for a vocabulary's pattern it falls back to `std::regex`, which recurses for
/// every character of a match: over 320 bytes as it is compiled here, 530 when
/// not optimised; a match may take in two stretches, a word and what follows it.
const STACK_PER_CHARACTER: usize = 1024;

/// Characters of a stretch for which every thread has the stack.
const SHALLOW: usize = 512;

/// What bounds the work of a vocabulary's tokenizer.
pub(crate) struct Bounds {
    /// Bytes that one token stands for at most; `None`: any number of them.
    longest_token: Option<usize>,
    /// How texts are broken into stretches; `None`: they need no stack.
    breaks: Option<Breaks>,
}

/// Where no pattern goes on, whatever it matches.
#[derive(Clone, Copy)]
enum Breaks {
    /// Between white space and anything else.
    WhiteSpace,
    /// The same, but a pattern for letters goes on over spaces.
    WhiteSpaceButSpaces,
}

impl Bounds {
    /// Of the vocabulary of `model`.
    pub(crate) fn of(model: &LlamaModel) -> Self {
        let vocab = model.vocab();
        let kind = vocab.vocab_type();
        let text = |token| Some(vocab.text(token)?.count_bytes());
        // The other kinds drop characters, or have one token for all that is unknown.
        let is_bounded = matches!(kind, VocabType::BPE | VocabType::SPM);
        let longest_token = is_bounded.then(|| vocab.tokens().filter_map(text).max());
        let pattern = model.meta_val_str("tokenizer.ggml.pre");
        let breaks = match pattern.as_deref() {
            Ok("exaone-moe") => Breaks::WhiteSpaceButSpaces,
            _ => Breaks::WhiteSpace,
        };
        Self {
            longest_token: longest_token.flatten(),
            breaks: (kind == VocabType::BPE).then_some(breaks),
        }
    }

    /// The tokens that so many bytes have at least.
    fn fewest_tokens(&self, bytes: usize) -> usize {
        self.longest_token
            .map_or(0, |longest| bytes.div_ceil(longest.max(1)))
    }

    /// Characters that one match takes in at most, or half of them.
    fn longest_stretch(&self, text: &str) -> usize {
        let apart = || longest_stretch(text, char::is_whitespace);
        let over_spaces = || longest_stretch(text, |c| c.is_whitespace() && c != ' ');
        match self.breaks {
            None => 0,
            Some(Breaks::WhiteSpace) => apart(),
            Some(Breaks::WhiteSpaceButSpaces) => apart().max(over_spaces()),
        }
    }
}

impl Weights {
    /// Refuses a prompt of so many bytes if it has more tokens than the context,
    /// however they are cut.
    pub(crate) fn check_length(&self, bytes: usize) -> Result<(), PromptError> {
        let tokens = self.bounds().fewest_tokens(bytes);
        // llama.cpp counts bytes in an i32.
        if tokens > self.context_length() as usize || i32::try_from(bytes).is_err() {
            return Err(PromptError::TooLong { tokens });
        }
        Ok(())
    }

    /// The tokens of `text`, with those that the model wants around it if it is
    /// `whole`; control tokens in it count as such if they are to be
    /// `interpret`ed.
    pub(crate) fn encode(
        &self,
        text: &str,
        whole: bool,
        interpret: bool,
    ) -> Result<Vec<Token>, PromptError> {
        let encode = || {
            let tokens = self.vocab().tokenize(text.as_bytes(), whole, interpret);
            tokens.iter().map(|token| Token(token.0)).collect()
        };
        let stretch = self.bounds().longest_stretch(text);
        if stretch <= SHALLOW {
            return Ok(encode());
        }
        if stretch > MOST_UNBROKEN {
            return Err(PromptError::Unbroken {
                limit: MOST_UNBROKEN,
            });
        }
        // One at a time, so that there is memory for it.
        let _deep = self.deep().lock().unwrap_or_else(PoisonError::into_inner);
        thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name("fathom-tokenizer".into())
                .stack_size(stretch.saturating_mul(STACK_PER_CHARACTER) + (1 << 20))
                .spawn_scoped(scope, encode)?;
            Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })
    }
}

/// Characters of the longest part of `text` in which all are breaks or none is.
fn longest_stretch(text: &str, is_break: impl Fn(char) -> bool) -> usize {
    let (mut longest, mut stretch, mut breaks) = (0, 0, false);
    for character in text.chars() {
        let same = is_break(character) == breaks;
        breaks ^= !same;
        stretch = if same { stretch + 1 } else { 1 };
        longest = longest.max(stretch);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_ends_where_white_space_begins_or_ends() {
        for (text, longest) in [
            ("", 0),
            ("héllo", 5),
            ("a bb ccc dd", 3),
            ("a \n\u{3000}\u{85} b", 5),
            (" a", 1),
        ] {
            assert_eq!(
                longest_stretch(text, char::is_whitespace),
                longest,
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_pattern_that_goes_over_spaces_has_longer_stretches() {
        let bounds = |breaks| Bounds {
            longest_token: Some(4),
            breaks,
        };
        let stretch = |breaks| bounds(breaks).longest_stretch("one two\nthree    ");
        assert_eq!(stretch(None), 0);
        assert_eq!(stretch(Some(Breaks::WhiteSpace)), 5);
        assert_eq!(stretch(Some(Breaks::WhiteSpaceButSpaces)), 9);
        assert_eq!(bounds(None).fewest_tokens(9), 3);
    }
}

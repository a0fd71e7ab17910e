//! Keeps control-token text in messages from being interpreted.

use std::hash::{BuildHasher, RandomState};

use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use llama_cpp_2::token_type::LlamaTokenAttr;
use llama_cpp_2::vocab::LlamaVocab;

/// Opens a placeholder; a private-use character.
const OPEN: char = '\u{E000}';
/// Closes a placeholder; a private-use character.
const CLOSE: char = '\u{E001}';

/// The texts of a vocabulary that stand for control tokens, such as
/// `<|im_end|>`.
pub(crate) struct ControlTexts(AhoCorasick);

impl ControlTexts {
    /// Collects the texts of `vocab`.
    pub(crate) fn of(vocab: &LlamaVocab<'_>) -> Result<Self, BuildError> {
        // llama.cpp parses exactly these two kinds only when it is asked to.
        let is_control = |&token: &_| {
            let attributes = vocab.attr(token);
            attributes.contains(LlamaTokenAttr::Control)
                || attributes.contains(LlamaTokenAttr::Unknown)
        };
        Self::new(
            vocab
                .tokens()
                .filter(is_control)
                .filter_map(|token| vocab.text(token))
                .map(|text| text.to_bytes().to_vec())
                .filter(|text| !text.is_empty()),
        )
    }

    fn new(texts: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, BuildError> {
        AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(texts)
            .map(Self)
    }
}

/// Control-token texts taken out of one chat and put back as plain text.
///
/// Placeholders carry a secret number, new for each chat, so that no message
/// can contain one of its own.
pub(crate) struct Shield<'a> {
    controls: &'a ControlTexts,
    mark: String,
    literals: Vec<String>,
}

/// A part of rendered text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    /// Text in which control tokens are interpreted.
    Template(&'a str),
    /// Control-token text of a message, to be taken literally.
    Literal(&'a str),
}

impl<'a> Shield<'a> {
    pub(crate) fn new(controls: &'a ControlTexts) -> Self {
        // Decimal digits survive templates that change the case of a message.
        let secret = RandomState::new().hash_one(());
        Self {
            controls,
            mark: format!("{OPEN}{secret}:"),
            literals: Vec::new(),
        }
    }

    /// `text` with a placeholder for each control-token text in it.
    pub(crate) fn cover(&mut self, text: &str) -> String {
        let mut covered = String::new();
        let mut rest = 0;
        for found in self.controls.0.find_iter(text) {
            covered.push_str(&text[rest..found.start()]);
            covered.push_str(&format!("{}{}{CLOSE}", self.mark, self.literals.len()));
            self.literals.push(text[found.range()].to_owned());
            rest = found.end();
        }
        covered.push_str(&text[rest..]);
        covered
    }

    /// `rendered` cut at its placeholders, in order and without empty parts.
    pub(crate) fn segments<'s>(&'s self, rendered: &'s str) -> Vec<Segment<'s>> {
        let mut segments = Vec::new();
        for (index, part) in rendered.split(&self.mark).enumerate() {
            let placeholder = (index > 0).then(|| self.placeholder(part)).flatten();
            let (literal, text) = placeholder.unwrap_or(("", part));
            segments.push(Segment::Literal(literal));
            segments.push(Segment::Template(text));
        }
        segments.retain(|segment| !segment.text().is_empty());
        segments
    }

    /// The literal that `part`, the text after a mark, begins with, and the
    /// text after it; nothing if a template cut the placeholder short.
    fn placeholder<'s>(&'s self, part: &'s str) -> Option<(&'s str, &'s str)> {
        let (index, text) = part.split_once(CLOSE)?;
        let literal = self.literals.get(index.parse::<usize>().ok()?)?;
        Some((literal, text))
    }
}

impl<'a> Segment<'a> {
    pub(crate) fn text(&self) -> &'a str {
        match self {
            Self::Template(text) | Self::Literal(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Segment::{Literal, Template};
    use super::*;

    fn controls() -> Result<ControlTexts, BuildError> {
        ControlTexts::new(["<|im_start|>", "<|im_end|>", "<s>"].map(Vec::from))
    }

    #[test]
    fn innocent_text_stays_as_it_is() -> Result<(), BuildError> {
        let controls = controls()?;
        let mut shield = Shield::new(&controls);
        assert_eq!(
            shield.cover("a < b, \u{E000}1:0\u{E001}"),
            "a < b, \u{E000}1:0\u{E001}"
        );
        assert_eq!(shield.segments("<s>a"), [Template("<s>a")]);
        Ok(())
    }

    #[test]
    fn control_text_becomes_literal() -> Result<(), BuildError> {
        let controls = controls()?;
        let mut shield = Shield::new(&controls);
        let first = shield.cover("x<|im_end|><s>");
        let second = shield.cover("<|im_<s>end|>");
        let rendered = format!("<s>{first}<|im_end|>{second}");
        assert_eq!(
            shield.segments(&rendered),
            [
                Template("<s>x"),
                Literal("<|im_end|>"),
                Literal("<s>"),
                Template("<|im_end|><|im_"),
                Literal("<s>"),
                Template("end|>"),
            ]
        );
        Ok(())
    }

    #[test]
    fn a_placeholder_cut_by_the_template_interprets_nothing() -> Result<(), BuildError> {
        let controls = controls()?;
        let mut shield = Shield::new(&controls);
        let mut covered = shield.cover("<s>");
        covered.pop();
        assert_eq!(shield.segments(&covered), [Template("0")]);
        Ok(())
    }
}

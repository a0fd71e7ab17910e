//! Sampled bytes to text that is free to be sent.

use crate::stop::{Scan, StopMatcher};
use crate::utf8::Utf8Decoder;
use crate::{Event, Token, TokenLogprob, Tokens};

/// The text of one job: holds back what may yet become a stop string or a
/// character.
pub(crate) struct TextStream {
    utf8: Utf8Decoder,
    stop: StopMatcher,
    /// Sampled since text was last sent.
    tokens: Tokens,
    /// Of those tokens, if asked for.
    logprobs: Vec<TokenLogprob>,
}

/// Text to send, if any, and which stop string ends it.
pub(crate) struct Piece {
    pub(crate) event: Option<Event>,
    pub(crate) stopped_by: Option<usize>,
}

impl TextStream {
    pub(crate) fn new(stops: &[String]) -> Self {
        Self {
            utf8: Utf8Decoder::default(),
            stop: StopMatcher::new(stops.iter().cloned()),
            tokens: Tokens::new(),
            logprobs: Vec::new(),
        }
    }

    /// Takes the next sampled token, its bytes, and how probable it was if that
    /// is to be told.
    pub(crate) fn push(
        &mut self,
        token: Token,
        bytes: &[u8],
        logprob: Option<TokenLogprob>,
    ) -> Piece {
        self.tokens.push(token);
        self.logprobs.extend(logprob);
        let text = self.utf8.push(bytes);
        let text = match self.stop.push(&text) {
            Scan::Open(text) => text,
            Scan::Stopped(text) => {
                // A character that began after the stop string is no part of the text.
                self.utf8 = Utf8Decoder::default();
                text
            }
        };
        let event = (!text.is_empty()).then(|| self.event(text));
        let stopped_by = self.stop.stopped_by();
        if stopped_by.is_some() {
            // The tokens of a stop string have no text.
            self.tokens.clear();
            self.logprobs.clear();
        }
        Piece { event, stopped_by }
    }

    /// Ends the text and returns what was held back: text, or how probable
    /// tokens without text were.
    pub(crate) fn finish(&mut self) -> Option<Event> {
        let incomplete = self.utf8.finish();
        let text = match self.stop.push(&incomplete) {
            Scan::Open(text) => text + &self.stop.finish(),
            Scan::Stopped(text) => text,
        };
        (!text.is_empty() || !self.logprobs.is_empty()).then(|| self.event(text))
    }

    fn event(&mut self, text: String) -> Event {
        Event::Text {
            text,
            tokens: std::mem::take(&mut self.tokens),
            logprobs: std::mem::take(&mut self.logprobs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Token = Token(1);

    fn text(event: Option<Event>) -> Option<(String, usize)> {
        match event {
            Some(Event::Text { text, tokens, .. }) => Some((text, tokens.len())),
            _ => None,
        }
    }

    #[test]
    fn a_piece_counts_the_tokens_held_back_before_it() {
        let mut stream = TextStream::new(&["END".to_owned()]);
        assert_eq!(
            text(stream.push(A, b"a\xC3", None).event),
            Some(("a".into(), 1))
        );
        assert_eq!(text(stream.push(A, b"", None).event), None);
        assert_eq!(
            text(stream.push(A, b"\xA9E", None).event),
            Some(("é".into(), 2))
        );
        assert_eq!(text(stream.push(A, b"N\xE2", None).event), None);
        assert_eq!(text(stream.finish()), Some(("EN\u{FFFD}".into(), 1)));
        assert_eq!(text(stream.finish()), None);
    }

    #[test]
    fn the_stop_string_is_no_part_of_the_text() {
        let mut stream = TextStream::new(&["END".to_owned()]);
        assert_eq!(stream.push(A, b"E", None).stopped_by, None);
        let piece = stream.push(A, b"ND!\xC3", None);
        assert_eq!(piece.stopped_by, Some(0));
        assert_eq!(text(piece.event), None);
        assert_eq!(text(stream.finish()), None);
    }

    #[test]
    fn probabilities_go_with_the_text_of_their_tokens() {
        let told = |byte| {
            Some(TokenLogprob {
                bytes: vec![byte],
                logprob: Some(-1.0),
                top: Vec::new(),
            })
        };
        let bytes = |event: Option<Event>| match event {
            Some(Event::Text { logprobs, .. }) => {
                logprobs.into_iter().map(|told| told.bytes[0]).collect()
            }
            _ => Vec::new(),
        };
        let mut stream = TextStream::new(&["END".to_owned()]);
        assert!(bytes(stream.push(A, b"E", told(b'E')).event).is_empty());
        assert_eq!(bytes(stream.push(A, b"F", told(b'F')).event), [b'E', b'F']);
        assert!(bytes(stream.push(A, b"", told(0)).event).is_empty());
        assert_eq!(bytes(stream.finish()), [0]);
    }
}

//! Sampled bytes to text that is free to be sent.

use crate::Event;
use crate::stop::{Scan, StopMatcher};
use crate::utf8::Utf8Decoder;

/// The text of one job: holds back what may yet become a stop string or a
/// character.
pub(crate) struct TextStream {
    utf8: Utf8Decoder,
    stop: StopMatcher,
    /// Sampled since text was last sent.
    tokens: u32,
}

/// Text to send, if any, and whether a stop string ends it.
pub(crate) struct Piece {
    pub(crate) event: Option<Event>,
    pub(crate) stopped: bool,
}

impl TextStream {
    pub(crate) fn new(stops: &[String]) -> Self {
        Self {
            utf8: Utf8Decoder::default(),
            stop: StopMatcher::new(stops.iter().cloned()),
            tokens: 0,
        }
    }

    /// Takes the bytes of the next sampled token.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Piece {
        self.tokens += 1;
        let text = self.utf8.push(bytes);
        let (text, stopped) = match self.stop.push(&text) {
            Scan::Open(text) => (text, false),
            Scan::Stopped(text) => {
                // A character that began after the stop string is no part of the text.
                self.utf8 = Utf8Decoder::default();
                (text, true)
            }
        };
        let event = self.event(text);
        Piece { event, stopped }
    }

    /// Ends the text and returns what was held back.
    pub(crate) fn finish(&mut self) -> Option<Event> {
        let incomplete = self.utf8.finish();
        let text = match self.stop.push(&incomplete) {
            Scan::Open(text) => text + &self.stop.finish(),
            Scan::Stopped(text) => text,
        };
        self.event(text)
    }

    fn event(&mut self, text: String) -> Option<Event> {
        (!text.is_empty()).then(|| Event::Text {
            text,
            tokens: std::mem::take(&mut self.tokens),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(event: Option<Event>) -> Option<(String, u32)> {
        match event {
            Some(Event::Text { text, tokens }) => Some((text, tokens)),
            _ => None,
        }
    }

    #[test]
    fn a_piece_counts_the_tokens_held_back_before_it() {
        let mut stream = TextStream::new(&["END".to_owned()]);
        assert_eq!(text(stream.push(b"a\xC3").event), Some(("a".into(), 1)));
        assert_eq!(text(stream.push(b"").event), None);
        assert_eq!(text(stream.push(b"\xA9E").event), Some(("é".into(), 2)));
        assert_eq!(text(stream.push(b"N\xE2").event), None);
        assert_eq!(text(stream.finish()), Some(("EN\u{FFFD}".into(), 1)));
        assert_eq!(text(stream.finish()), None);
    }

    #[test]
    fn the_stop_string_is_no_part_of_the_text() {
        let mut stream = TextStream::new(&["END".to_owned()]);
        assert!(!stream.push(b"E").stopped);
        let piece = stream.push(b"ND!\xC3");
        assert!(piece.stopped);
        assert_eq!(text(piece.event), None);
        assert_eq!(text(stream.finish()), None);
    }
}

//! Bytes of tokens to text, across token borders.

/// Decodes UTF-8 that arrives in arbitrary pieces.
///
/// Only a character that is still incomplete is held back; bytes that can never
/// be UTF-8 become U+FFFD.
#[derive(Default)]
pub(crate) struct Utf8Decoder {
    incomplete: Vec<u8>,
}

impl Utf8Decoder {
    /// Takes more bytes and returns the text they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.incomplete.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.incomplete);
        let mut rest = bytes.as_slice();
        let mut text = String::new();
        while let Err(error) = std::str::from_utf8(rest) {
            let (valid, invalid) = rest.split_at(error.valid_up_to());
            text.push_str(&String::from_utf8_lossy(valid));
            let Some(length) = error.error_len() else {
                self.incomplete.extend_from_slice(invalid);
                return text;
            };
            text.push(char::REPLACEMENT_CHARACTER);
            rest = &invalid[length..];
        }
        text.push_str(&String::from_utf8_lossy(rest));
        text
    }

    /// Ends the text: an incomplete character becomes U+FFFD.
    pub(crate) fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.incomplete)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[Vec<u8>]) -> String {
        let mut decoder = Utf8Decoder::default();
        let mut text: String = pieces.iter().map(|piece| decoder.push(piece)).collect();
        text.push_str(&decoder.finish());
        text
    }

    #[test]
    fn holds_back_only_the_incomplete_character() {
        let mut decoder = Utf8Decoder::default();
        assert_eq!(decoder.push(b"a\xF0\x9F"), "a");
        assert_eq!(decoder.push(b"\xA6"), "");
        assert_eq!(decoder.push(b"\x80b"), "\u{1F980}b");
        assert_eq!(decoder.push(b"\xFFc\xC3"), "\u{FFFD}c");
        assert_eq!(decoder.finish(), "\u{FFFD}");
        assert_eq!(decoder.finish(), "");
    }

    proptest! {
        #[test]
        fn equals_lossy_decoding_of_the_whole(pieces: Vec<Vec<u8>>) {
            let whole = pieces.concat();
            prop_assert_eq!(decode(&pieces), String::from_utf8_lossy(&whole));
        }

        #[test]
        fn any_cut_of_valid_text_is_lossless(text: String, size in 1usize..5) {
            let pieces: Vec<_> = text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(decode(&pieces), text);
        }
    }
}

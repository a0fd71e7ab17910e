//! Noise beside the text of an event. Without it, whoever sees the sizes of encrypted events sees
//! the lengths of the words in them.

use aws_lc_rs::rand;
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use fathom_api::sampling::StreamOptions;
use fathom_proto::inference::Piece;

/// Text and noise together are a multiple of so many bytes.
const GRAIN: usize = 32;

/// The noise for an event with this piece, if the caller asked for it.
pub fn obfuscation(options: StreamOptions, piece: &Piece) -> Option<String> {
    if !options.include_obfuscation {
        return None;
    }
    let length = match piece {
        Piece::Text(text) | Piece::Reasoning(text) => text.len(),
        Piece::ToolCall(piece) => piece.arguments.len(),
    };
    let mut random = [0; GRAIN];
    // Where there is no randomness the noise is the same each time, and does what it is for.
    let _ = rand::fill(&mut random);
    let mut noise = BASE64_STANDARD_NO_PAD.encode(random);
    noise.truncate(GRAIN - length % GRAIN);
    Some(noise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_noise_together_have_the_same_length() {
        let options = StreamOptions {
            include_obfuscation: true,
            ..StreamOptions::default()
        };
        for length in [0, 1, 7, 31] {
            let text = "x".repeat(length);
            let noise = obfuscation(options, &Piece::Text(text)).unwrap();
            assert_eq!(noise.len() + length, GRAIN);
        }
        let text = Piece::Text(String::new());
        assert_eq!(obfuscation(StreamOptions::default(), &text), None);
    }
}

//! Beginnings of prompts, and which workers have seen them.

mod index;

use std::hash::{BuildHasher, Hasher};

use fathom_proto::inference::{ChatMessage, Prompt};
use rapidhash::quality::{GlobalState, RapidHasher};
use smallvec::SmallVec;

pub(crate) use index::{Index, Seen};

/// Hashes of the beginnings of one prompt, the shortest first.
pub(crate) type Prefixes = SmallVec<[u64; MOST]>;

/// Most beginnings of one prompt.
const MOST: usize = 16;

/// Bytes of the shortest beginning: a shorter one is as soon read as found.
const FIRST: usize = 256;

/// Hashes of the beginnings of `prompt`, each half as long again as the one before: 16 of them
/// reach some 100 kB into it. They hold for this process alone.
pub(crate) fn prefixes(prompt: &Prompt) -> Prefixes {
    let mut beginnings = Beginnings::new();
    match prompt {
        Prompt::Text(text) => beginnings.add(text.as_bytes()),
        Prompt::Tokens(tokens) => {
            let mut bytes = [0; FIRST];
            for some in tokens.chunks(FIRST / 4) {
                for (token, bytes) in some.iter().zip(bytes.chunks_exact_mut(4)) {
                    bytes.copy_from_slice(&token.to_le_bytes());
                }
                beginnings.add(&bytes[..some.len() * 4]);
            }
        }
        Prompt::Chat(messages) => {
            for message in messages {
                beginnings.add_message(message);
            }
        }
        Prompt::Infill { before, .. } => beginnings.add(before.as_bytes()),
    }
    beginnings.hashes
}

struct Beginnings {
    hasher: RapidHasher<'static>,
    hashes: Prefixes,
    /// Bytes up to the end of the next beginning.
    left: usize,
    length: usize,
}

impl Beginnings {
    fn new() -> Self {
        Self {
            hasher: GlobalState::new().build_hasher(),
            hashes: Prefixes::new(),
            left: FIRST,
            length: FIRST,
        }
    }

    fn add_message(&mut self, message: &ChatMessage) {
        self.add(message.role.as_str().as_bytes());
        self.add(message.content.as_bytes());
        for call in &message.tool_calls {
            self.add(call.name.as_bytes());
            self.add(call.arguments.as_bytes());
        }
        if let Some(parts) = &message.parts {
            self.add(parts.0.as_bytes());
        }
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while self.hashes.len() < MOST && !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(self.left));
            self.hasher.write(now);
            self.left -= now.len();
            bytes = later;
            if self.left == 0 {
                self.hashes.push(self.hasher.finish());
                self.left = self.length / 2;
                self.length += self.left;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fathom_proto::inference::ChatRole;

    use super::*;

    fn text(length: usize) -> String {
        (0..length)
            .map(|at| char::from(b'a' + (at % 23) as u8))
            .collect()
    }

    #[test]
    fn beginnings_are_those_of_longer_prompts_too() {
        let long = prefixes(&Prompt::Text(text(200_000)));
        assert_eq!(long.len(), MOST);
        for length in [0, 255, 256, 383, 384, 1_000, 50_000] {
            let short = prefixes(&Prompt::Text(text(length)));
            assert_eq!(short[..], long[..short.len()], "{length}");
        }
        assert_eq!(prefixes(&Prompt::Text(text(383))).len(), 1);
        assert_eq!(prefixes(&Prompt::Text(text(384))).len(), 2);
        assert!(!long.spilled());
    }

    #[test]
    fn the_next_turn_of_a_conversation_begins_as_the_last_one() {
        let turn = |role, length| ChatMessage::new(role, text(length));
        let mut messages = vec![turn(ChatRole::System, 700), turn(ChatRole::User, 300)];
        let first = prefixes(&Prompt::Chat(messages.clone()));
        messages.push(turn(ChatRole::Assistant, 400));
        let second = prefixes(&Prompt::Chat(messages.clone()));
        assert!(first.len() < second.len());
        assert_eq!(first[..], second[..first.len()]);
        messages[0] = turn(ChatRole::User, 700);
        assert_ne!(prefixes(&Prompt::Chat(messages))[0], first[0]);
    }

    #[test]
    fn tokens_have_beginnings() {
        let tokens: Vec<u32> = (0..200).collect();
        let long = prefixes(&Prompt::Tokens(tokens.clone()));
        let short = prefixes(&Prompt::Tokens(tokens[..64].to_vec()));
        assert_eq!(short.len(), 1);
        assert_eq!(short[0], long[0]);
    }
}

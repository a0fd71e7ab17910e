//! The formula: which word comes next.

use fathom_proto::inference::Prompt;

/// What the simulated model can say.
const VOCABULARY: [&str; 32] = [
    "the", "river", "runs", "under", "a", "quiet", "bridge", "and", "light", "falls", "on", "old",
    "stones", "while", "water", "carries", "leaves", "to", "sea", "where", "ships", "wait", "for",
    "wind", "slow", "clouds", "drift", "over", "hills", "that", "remember", "rain",
];

/// Tokens that a turn of a conversation takes beside its words.
const TOKENS_OF_A_TURN: u32 = 3;

/// The words after a prompt. A token is a word; the next one follows from all words so far and
/// the seed, so a text that is cut anywhere and used as a prompt continues the same.
pub(super) struct Words {
    /// Hash of all words so far.
    history: u64,
    seed: u64,
    /// Whether the next word needs a space before it.
    spaced: bool,
    prompt_tokens: u32,
}

impl Words {
    /// Reads a prompt; no seed is seed 0. Text counts its words, a token id is a word, and a
    /// turn of a conversation counts its words and [`TOKENS_OF_A_TURN`].
    pub fn after(prompt: &Prompt, seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_default();
        let mut words = Self {
            history: FNV_OFFSET,
            seed,
            spaced: false,
            prompt_tokens: 0,
        };
        match prompt {
            Prompt::Text(text) => {
                words.read(text);
                words.spaced = text.ends_with(|end: char| !end.is_whitespace());
            }
            Prompt::Tokens(ids) => {
                for id in ids {
                    words.read(&id.to_string());
                }
            }
            Prompt::Chat(turns) => {
                for turn in turns {
                    words.absorb(turn.role.as_str());
                    words.read(&turn.content);
                    words.prompt_tokens = words.prompt_tokens.saturating_add(TOKENS_OF_A_TURN);
                }
            }
        }
        words
    }

    pub fn prompt_tokens(&self) -> u32 {
        self.prompt_tokens
    }

    fn read(&mut self, text: &str) {
        for word in text.split_whitespace() {
            self.absorb(word);
            self.prompt_tokens = self.prompt_tokens.saturating_add(1);
        }
    }

    /// FNV-1a over the word and a zero byte, which no word contains in earnest.
    fn absorb(&mut self, word: &str) {
        for byte in word.bytes().chain([0]) {
            self.history = (self.history ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
    }
}

impl Iterator for Words {
    type Item = String;

    /// The next word, with the space that parts it from what is before it. There is always one.
    fn next(&mut self) -> Option<String> {
        let index = scramble(self.history ^ self.seed) % VOCABULARY.len() as u64;
        let word = VOCABULARY[index as usize];
        self.absorb(word);
        let space = if std::mem::replace(&mut self.spaced, true) {
            " "
        } else {
            ""
        };
        Some(format!("{space}{word}"))
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The finalizer of `SplitMix64`: each bit of `state` moves half of the result's.
const fn scramble(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

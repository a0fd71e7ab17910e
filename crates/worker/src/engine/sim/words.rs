//! The formula: which word comes next.

use fathom_proto::inference::{
    Alternative, ChatMessage, ChatRole, EmbedInput, Prompt, TokenLogprob,
};

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
    /// Words of the answer that the prompt holds already.
    begun: u32,
}

/// A word that was drawn.
pub(super) struct Word {
    /// With the space that parts it from what is before it.
    pub text: String,
    index: usize,
    spaced: bool,
}

/// Whether there is a word with this token id.
pub(super) fn is_known(id: u32) -> bool {
    (id as usize) < VOCABULARY.len()
}

impl Words {
    /// Reads a prompt; no seed is seed 0. Text counts its words, a token id is a word, and a
    /// turn of a conversation counts its words and [`TOKENS_OF_A_TURN`]. A last turn of the
    /// assistant is an answer that has begun.
    pub fn after(prompt: &Prompt, seed: Option<u64>) -> Self {
        let mut words = Self::none(seed.unwrap_or_default());
        match prompt {
            Prompt::Text(text) => words.read_open(text),
            Prompt::Infill { before, after } => {
                words.read(before);
                words.read(after);
            }
            Prompt::Tokens(ids) => words.read_ids(ids),
            Prompt::Chat(turns) => words.read_chat(turns),
        }
        words
    }

    /// Reads a text that nothing follows.
    pub fn of(input: &EmbedInput) -> Self {
        let mut words = Self::none(0);
        match input {
            EmbedInput::Text(text) => words.read(text),
            EmbedInput::Tokens(ids) => words.read_ids(ids),
        }
        words
    }

    const fn none(seed: u64) -> Self {
        Self {
            history: FNV_OFFSET,
            seed,
            spaced: false,
            prompt_tokens: 0,
            begun: 0,
        }
    }

    pub fn prompt_tokens(&self) -> u32 {
        self.prompt_tokens
    }

    /// Words of the answer that the prompt holds already.
    pub fn begun(&self) -> u32 {
        self.begun
    }

    pub fn history(&self) -> u64 {
        self.history
    }

    /// The next word. There is always one.
    pub fn next(&mut self) -> Word {
        let index = scramble(self.history ^ self.seed) % VOCABULARY.len() as u64;
        self.say(index as usize)
    }

    /// A word that another worker drew next, by its token id; `None` if there is no such word.
    pub fn replay(&mut self, id: u32) -> Option<Word> {
        is_known(id).then(|| self.say(id as usize))
    }

    fn say(&mut self, index: usize) -> Word {
        self.absorb(VOCABULARY[index]);
        let spaced = std::mem::replace(&mut self.spaced, true);
        Word {
            text: spelled(index, spaced),
            index,
            spaced,
        }
    }

    fn read_chat(&mut self, turns: &[ChatMessage]) {
        for (i, turn) in turns.iter().enumerate() {
            let open = turn.role == ChatRole::Assistant && i + 1 == turns.len();
            self.prompt_tokens = self.prompt_tokens.saturating_add(TOKENS_OF_A_TURN);
            if open {
                let before = self.prompt_tokens;
                self.read_open(&turn.content);
                self.begun = self.prompt_tokens - before;
                continue;
            }
            self.absorb(turn.role.as_str());
            self.read(&turn.content);
            for call in &turn.tool_calls {
                self.read(&call.name);
                self.read(&call.arguments);
            }
        }
    }

    fn read_ids(&mut self, ids: &[u32]) {
        for id in ids {
            self.read(&id.to_string());
        }
    }

    /// Reads a text that goes on.
    fn read_open(&mut self, text: &str) {
        self.read(text);
        self.spaced = text.ends_with(|end: char| !end.is_whitespace());
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

impl Word {
    /// Its token id.
    pub fn id(&self) -> u32 {
        self.index as u32
    }

    /// How probable it was, made up: always the likeliest, the next ones of the vocabulary after
    /// it, each half as likely as the one before.
    pub fn logprob(&self, alternatives: u32) -> TokenLogprob {
        let logprob = |rank: usize| -std::f32::consts::LN_2 * (rank + 1) as f32;
        let top = (0..VOCABULARY.len()).take(alternatives as usize);
        TokenLogprob {
            token: self.text.clone().into_bytes(),
            logprob: Some(logprob(0)),
            top: top
                .map(|rank| Alternative {
                    token: spelled((self.index + rank) % VOCABULARY.len(), self.spaced).into(),
                    logprob: logprob(rank),
                })
                .collect(),
        }
    }
}

/// The text of a prompt as it comes back, and its tokens, which are this text in pieces. Tokens
/// are words in the way that [`Words`] counts them.
pub(super) fn echo(prompt: &Prompt) -> Vec<String> {
    match prompt {
        Prompt::Text(text) => pieces(text),
        Prompt::Tokens(ids) => {
            let text: Vec<_> = ids.iter().map(ToString::to_string).collect();
            pieces(&text.join(" "))
        }
        Prompt::Infill { before, .. } => pieces(before),
        Prompt::Chat(_) => Vec::new(),
    }
}

/// The words of a text, each with the space before it, and the last one with that after it.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut begun = 0;
    for word in text.split_whitespace() {
        let end = begun + text[begun..].find(word).unwrap_or_default() + word.len();
        pieces.push(text[begun..end].to_owned());
        begun = end;
    }
    if let Some(last) = pieces.last_mut() {
        last.push_str(&text[begun..]);
    }
    pieces
}

fn spelled(index: usize, spaced: bool) -> String {
    let space = if spaced { " " } else { "" };
    format!("{space}{}", VOCABULARY[index])
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The finalizer of `SplitMix64`: each bit of `state` moves half of the result's.
pub(super) const fn scramble(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

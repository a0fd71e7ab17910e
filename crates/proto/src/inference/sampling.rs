//! How tokens are drawn.

/// How the next token is drawn from the model's distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest token; at most 2.
    pub temperature: f32,
    /// The smallest set of tokens with this probability in sum, in (0, 1].
    pub top_p: f32,
    /// Only so many likeliest tokens are considered; `None`: all.
    pub top_k: Option<u32>,
    /// Only tokens at least so probable, relative to the likeliest one, in [0, 1]; 0: all.
    pub min_p: f32,
    /// Same seed, prompt and parameters: same text; `None`: a random one.
    pub seed: Option<u64>,
    /// Penalty for each earlier occurrence of a token, in [-2, 2].
    pub frequency_penalty: f32,
    /// Penalty for a token that occurred before, in [-2, 2].
    pub presence_penalty: f32,
    /// Added to the logits of single tokens.
    pub logit_bias: Vec<LogitBias>,
}

/// Makes one token likelier or less likely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogitBias {
    /// Token id of the model's own vocabulary.
    pub token: u32,
    /// Added to its logit, in [-100, 100].
    pub bias: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_p: 1.0,
            top_k: None,
            min_p: 0.0,
            seed: None,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
        }
    }
}

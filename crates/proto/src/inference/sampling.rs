//! How tokens are drawn.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the next token is drawn from the model's distribution. What is `None` was not asked for, and
/// is as the engine has it by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// 0 takes the likeliest token; at most 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f32>,
    /// The smallest set of tokens with this probability in sum, in (0, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub top_p: Option<f32>,
    /// Only so many likeliest tokens are considered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub top_k: Option<u32>,
    /// Only tokens at least so probable, relative to the likeliest one, in [0, 1]; 0: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub min_p: Option<f32>,
    /// Same seed, prompt and parameters: same text; `None`: a random one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Penalty for each earlier occurrence of a token, in [-2, 2].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -2, max = 2))]
    pub frequency_penalty: Option<f32>,
    /// Penalty for a token that occurred before, in [-2, 2].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -2, max = 2))]
    pub presence_penalty: Option<f32>,
    /// Added to the logits of single tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub logit_bias: Vec<LogitBias>,
}

impl Sampling {
    /// What is asked for, and `otherwise` where nothing is.
    #[must_use]
    pub fn or(&self, otherwise: &Self) -> Self {
        let logit_bias = if self.logit_bias.is_empty() {
            &otherwise.logit_bias
        } else {
            &self.logit_bias
        };
        Self {
            temperature: self.temperature.or(otherwise.temperature),
            top_p: self.top_p.or(otherwise.top_p),
            top_k: self.top_k.or(otherwise.top_k),
            min_p: self.min_p.or(otherwise.min_p),
            seed: self.seed.or(otherwise.seed),
            frequency_penalty: self.frequency_penalty.or(otherwise.frequency_penalty),
            presence_penalty: self.presence_penalty.or(otherwise.presence_penalty),
            logit_bias: logit_bias.clone(),
        }
    }
}

/// Makes one token likelier or less likely.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogitBias {
    /// Token id of the model's own vocabulary.
    pub token: u32,
    /// Added to its logit, in [-100, 100].
    #[schemars(range(min = -100, max = 100))]
    pub bias: f32,
}

/// What the engines of this installation do where a request does not say. Another server has
/// defaults of its own, and limits to which fields it takes at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defaults {
    /// [`Sampling::temperature`].
    pub temperature: f32,
    /// Most tokens to generate; `None`: as many as the context holds.
    pub max_tokens: Option<u32>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            max_tokens: None,
        }
    }
}

//! The sampling parameters of an arm, as the database holds them.

use std::collections::BTreeMap;

use fathom_proto::inference::{LogitBias, Sampling};
use serde::{Deserialize, Serialize};

use super::Error;

/// What an arm asks of the sampler where the request does not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// [`Sampling::temperature`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// [`Sampling::top_p`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// [`Sampling::top_k`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// [`Sampling::min_p`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    /// [`Sampling::seed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// [`Sampling::frequency_penalty`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f32>,
    /// [`Sampling::presence_penalty`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f32>,
    /// [`Sampling::logit_bias`], by token id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub logit_bias: BTreeMap<u32, f32>,
}

impl Parameters {
    /// Whether a request sets one of these itself.
    pub(super) fn are_set_by(&self, asked: &Sampling) -> bool {
        fn both<A, B>(one: Option<A>, other: Option<B>) -> bool {
            one.is_some() && other.is_some()
        }
        both(self.temperature, asked.temperature)
            || both(self.top_p, asked.top_p)
            || both(self.top_k, asked.top_k)
            || both(self.min_p, asked.min_p)
            || both(self.seed, asked.seed)
            || both(self.frequency_penalty, asked.frequency_penalty)
            || both(self.presence_penalty, asked.presence_penalty)
            || (!self.logit_bias.is_empty() && !asked.logit_bias.is_empty())
    }

    /// Refuses what the gateway would refuse in a request.
    pub(super) fn check(&self) -> Result<(), Error> {
        let numbers = [
            ("temperature", self.temperature, 0.0..=2.0),
            ("top_p", self.top_p, f32::MIN_POSITIVE..=1.0),
            ("min_p", self.min_p, 0.0..=1.0),
            ("frequency_penalty", self.frequency_penalty, -2.0..=2.0),
            ("presence_penalty", self.presence_penalty, -2.0..=2.0),
        ];
        for (name, value, allowed) in numbers {
            if let Some(value) = value
                && !allowed.contains(&value)
            {
                let (low, high) = allowed.into_inner();
                return Err(Error::Invalid(format!(
                    "`{name}` is {value}; it must be from {low} to {high}"
                )));
            }
        }
        if let Some((token, bias)) = self
            .logit_bias
            .iter()
            .find(|(_, bias)| !(-100.0..=100.0).contains(*bias))
        {
            return Err(Error::Invalid(format!(
                "`logit_bias` of token {token} is {bias}; it must be from -100 to 100"
            )));
        }
        Ok(())
    }
}

impl From<&Parameters> for Sampling {
    fn from(parameters: &Parameters) -> Self {
        let bias = parameters.logit_bias.iter();
        Self {
            temperature: parameters.temperature,
            top_p: parameters.top_p,
            top_k: parameters.top_k,
            min_p: parameters.min_p,
            seed: parameters.seed,
            frequency_penalty: parameters.frequency_penalty,
            presence_penalty: parameters.presence_penalty,
            logit_bias: bias
                .map(|(&token, &bias)| LogitBias { token, bias })
                .collect(),
        }
    }
}

//! How the next token is chosen.

use llama_cpp_2::sampling::LlamaSampler;

use crate::EngineError;

/// How the next token is chosen from the model's probabilities.
///
/// The default is the model's own distribution. Steps apply in the order
/// penalties, `top_k`, `top_p`, `min_p`, `temperature`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 or more. At 0 the most probable token is always taken; 1 leaves the
    /// probabilities as they are.
    pub temperature: f32,
    /// 0 to 1: only the most probable tokens that together reach this
    /// probability are considered. 1 turns it off.
    pub top_p: f32,
    /// Only this many most probable tokens are considered; all when absent or
    /// 0.
    pub top_k: Option<u32>,
    /// 0 to 1: only tokens at least this probable, relative to the most
    /// probable one, are considered. 0 turns it off.
    pub min_p: f32,
    /// The same seed gives the same text for the same prompt and parameters; a
    /// random one is taken when absent.
    pub seed: Option<u64>,
    /// Taken from a token's logit once for each time it was generated so far.
    pub frequency_penalty: f32,
    /// Taken from a token's logit if it was generated at all so far.
    pub presence_penalty: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: None,
            min_p: 0.0,
            seed: None,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
        }
    }
}

/// Below this temperature the most probable token is taken: dividing logits by
/// less loses their differences to infinity.
const GREEDY_BELOW: f32 = 1e-5;

/// What llama.cpp takes for "choose a random seed".
const RANDOM_SEED: u32 = u32::MAX;

impl Sampling {
    /// Refuses what llama.cpp would answer with an abort or nonsense.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let valid = [
            (
                "temperature",
                self.temperature.is_finite() && self.temperature >= 0.0,
            ),
            ("top_p", (0.0..=1.0).contains(&self.top_p)),
            ("min_p", (0.0..=1.0).contains(&self.min_p)),
            ("frequency_penalty", self.frequency_penalty.is_finite()),
            ("presence_penalty", self.presence_penalty.is_finite()),
        ];
        match valid.iter().find(|(_, valid)| !valid) {
            Some(&(parameter, _)) => Err(EngineError::InvalidSampling { parameter }),
            None => Ok(()),
        }
    }

    /// The sampler of one job. Penalties look back over `window` tokens; as the
    /// sampler never sees the prompt, they count generated tokens only.
    pub(crate) fn sampler(&self, vocabulary: i32, window: u32) -> LlamaSampler {
        let window = i32::try_from(window).unwrap_or(i32::MAX);
        let penalties = LlamaSampler::penalties(
            vocabulary,
            window,
            1.0,
            self.frequency_penalty,
            self.presence_penalty,
        );
        if self.temperature < GREEDY_BELOW {
            return LlamaSampler::chain([penalties, LlamaSampler::greedy()], true);
        }
        let top_k = i32::try_from(self.top_k.unwrap_or(0)).unwrap_or(i32::MAX);
        LlamaSampler::chain(
            [
                penalties,
                LlamaSampler::top_k(top_k),
                LlamaSampler::top_p(self.top_p, 1),
                LlamaSampler::min_p(self.min_p, 1),
                LlamaSampler::temp(self.temperature),
                LlamaSampler::dist(self.seed.map_or(RANDOM_SEED, fold_seed)),
            ],
            true,
        )
    }
}

/// A 64-bit seed in llama.cpp's 32 bits, never the one that asks for a random
/// seed.
fn fold_seed(seed: u64) -> u32 {
    let [high, low] = [(seed >> 32) as u32, seed as u32];
    (high ^ low).min(RANDOM_SEED - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_never_a_random_one() {
        assert_eq!(fold_seed(7), 7);
        assert_ne!(fold_seed(7 << 32 | 1), 1);
        for seed in [u64::from(u32::MAX), u64::MAX << 32, u64::MAX] {
            assert_ne!(fold_seed(seed), RANDOM_SEED);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let default = Sampling::default();
        assert!(default.check().is_ok());
        for sampling in [
            Sampling {
                temperature: f32::NAN,
                ..default.clone()
            },
            Sampling {
                temperature: -0.1,
                ..default.clone()
            },
            Sampling {
                top_p: 1.1,
                ..default.clone()
            },
            Sampling {
                min_p: f32::NAN,
                ..default.clone()
            },
            Sampling {
                frequency_penalty: f32::INFINITY,
                ..default.clone()
            },
            Sampling {
                presence_penalty: f32::NAN,
                ..default
            },
        ] {
            assert!(matches!(
                sampling.check(),
                Err(EngineError::InvalidSampling { .. })
            ));
        }
    }
}

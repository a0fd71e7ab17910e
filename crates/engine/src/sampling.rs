//! How the next token is chosen.

use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use llama_cpp_2::token::logit_bias::LlamaLogitBias;

use crate::{Constraint, EngineError, Token};

/// How the next token is chosen from the model's probabilities.
///
/// The default is the model's own distribution. Steps apply in the order
/// `logit_bias`, penalties, `top_k`, `top_p`, `min_p`, `temperature`.
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
    /// Added to the logits of these tokens.
    pub logit_bias: Vec<(Token, f32)>,
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
            logit_bias: Vec::new(),
        }
    }
}

/// Below this temperature the most probable token is taken: dividing logits by
/// less loses their differences to infinity.
const GREEDY_BELOW: f32 = 1e-5;

/// What llama.cpp takes for "choose a random seed".
const RANDOM_SEED: u32 = u32::MAX;

impl Sampling {
    /// Refuses what llama.cpp would answer with an abort or nonsense, for a
    /// model with so many tokens.
    pub(crate) fn check(&self, vocabulary: i32) -> Result<(), EngineError> {
        let is_bias =
            |(token, bias): &(Token, f32)| (0..vocabulary).contains(&token.0) && bias.is_finite();
        let valid = [
            (
                "temperature",
                self.temperature.is_finite() && self.temperature >= 0.0,
            ),
            ("top_p", (0.0..=1.0).contains(&self.top_p)),
            ("min_p", (0.0..=1.0).contains(&self.min_p)),
            ("frequency_penalty", self.frequency_penalty.is_finite()),
            ("presence_penalty", self.presence_penalty.is_finite()),
            ("logit_bias", self.logit_bias.iter().all(is_bias)),
        ];
        match valid.iter().find(|(_, valid)| !valid) {
            Some(&(parameter, _)) => Err(EngineError::InvalidSampling { parameter }),
            None => Ok(()),
        }
    }

    fn is_greedy(&self) -> bool {
        self.temperature < GREEDY_BELOW
    }

    fn penalizes(&self) -> bool {
        self.frequency_penalty != 0.0 || self.presence_penalty != 0.0
    }
}

/// Chooses the tokens of one text.
pub(crate) enum Sampler {
    /// The most probable one, with nothing that changes probabilities.
    Greedy,
    /// llama.cpp's samplers, one after the other, over the tokens that the
    /// constraint allows.
    Chain(LlamaSampler, Option<Box<Constraint>>),
}

impl Sampler {
    /// The sampler of one job, for a model with so many tokens. Penalties look
    /// back over `window` tokens; as the sampler never sees the prompt, they
    /// count generated tokens only.
    pub(crate) fn new(
        sampling: &Sampling,
        constraint: Option<Constraint>,
        vocabulary: i32,
        window: u32,
    ) -> Self {
        let mut chain = Vec::new();
        if !sampling.logit_bias.is_empty() {
            let biases: Vec<_> = sampling
                .logit_bias
                .iter()
                .map(|&(token, bias)| LlamaLogitBias::new(token.into(), bias))
                .collect();
            chain.push(LlamaSampler::logit_bias(vocabulary, &biases));
        }
        if sampling.penalizes() {
            chain.push(LlamaSampler::penalties(
                vocabulary,
                i32::try_from(window).unwrap_or(i32::MAX),
                1.0,
                sampling.frequency_penalty,
                sampling.presence_penalty,
            ));
        }
        if sampling.is_greedy() {
            if chain.is_empty() && constraint.is_none() {
                return Self::Greedy;
            }
            chain.push(LlamaSampler::greedy());
        } else {
            let top_k = i32::try_from(sampling.top_k.unwrap_or(0)).unwrap_or(i32::MAX);
            chain.extend([
                LlamaSampler::top_k(top_k),
                LlamaSampler::top_p(sampling.top_p, 1),
                LlamaSampler::min_p(sampling.min_p, 1),
                LlamaSampler::temp(sampling.temperature),
                LlamaSampler::dist(sampling.seed.map_or(RANDOM_SEED, fold_seed)),
            ]);
        }
        Self::Chain(LlamaSampler::chain(chain, true), constraint.map(Box::new))
    }

    /// Notes that `token`, which another sampler of the same text chose, came next, if it may;
    /// whether it may.
    pub(crate) fn replay(&mut self, token: Token) -> Result<bool, EngineError> {
        let Self::Chain(chain, constraint) = self else {
            return Ok(true);
        };
        let admitted = match constraint {
            Some(constraint) => constraint.admit(token)?,
            None => true,
        };
        if admitted {
            chain.accept(token.into());
        }
        Ok(admitted)
    }

    /// Whether nothing but the end of the text may come next.
    pub(crate) fn is_complete(&self) -> bool {
        match self {
            Self::Chain(_, Some(constraint)) => constraint.is_complete(),
            _ => false,
        }
    }

    /// The next token by `logits`. `candidates` is only memory to work in.
    pub(crate) fn sample(
        &mut self,
        logits: &[f32],
        candidates: &mut LlamaTokenDataArray,
    ) -> Result<Token, EngineError> {
        let (chain, constraint) = match self {
            Self::Greedy => return most_probable(logits).ok_or(EngineError::Internal),
            Self::Chain(chain, constraint) => (chain, constraint),
        };
        let allowed = constraint
            .as_mut()
            .map(|constraint| constraint.allowed())
            .transpose()?;
        let is_allowed = |token: u32| allowed.as_ref().is_none_or(|mask| mask.is_allowed(token));
        candidates.data.clear();
        candidates.data.extend(
            (0..)
                .zip(logits)
                .filter(|&(token, _)| is_allowed(token))
                .map(|(token, &logit)| {
                    LlamaTokenData::new(LlamaToken(token.cast_signed()), logit, 0.0)
                }),
        );
        if candidates.data.is_empty() {
            return Err(EngineError::Constraint);
        }
        candidates.sorted = false;
        candidates.selected = None;
        candidates.apply_sampler(chain);
        let token = candidates.selected_token().ok_or(EngineError::Internal)?;
        chain.accept(token);
        let token = Token(token.0);
        if let Some(constraint) = constraint {
            constraint.accept(token)?;
        }
        Ok(token)
    }
}

/// The first token of the greatest logit.
fn most_probable(logits: &[f32]) -> Option<Token> {
    let mut best = None;
    let mut greatest = f32::NEG_INFINITY;
    for (token, &logit) in (0..).zip(logits) {
        if logit > greatest {
            (best, greatest) = (Some(Token(token)), logit);
        }
    }
    best
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

    const VOCABULARY: i32 = 4;

    fn sample(sampling: &Sampling, logits: &[f32]) -> Option<i32> {
        let mut candidates = LlamaTokenDataArray::new(Vec::new(), false);
        let token = Sampler::new(sampling, None, VOCABULARY, 8).sample(logits, &mut candidates);
        token.ok().map(|token| token.0)
    }

    #[test]
    fn a_bias_makes_a_token_more_probable() {
        let mut sampling = Sampling {
            temperature: 0.0,
            ..Sampling::default()
        };
        let logits = [1.0, 3.0, 3.0, 2.0];
        assert_eq!(sample(&sampling, &logits), Some(1));
        sampling.logit_bias = vec![(Token(3), 2.0), (Token(1), -100.0)];
        assert_eq!(sample(&sampling, &logits), Some(3));
    }

    #[test]
    fn what_another_sampler_chose_is_penalized() {
        let sampling = Sampling {
            temperature: 0.0,
            presence_penalty: 2.0,
            ..Sampling::default()
        };
        let mut candidates = LlamaTokenDataArray::new(Vec::new(), false);
        let logits = [1.0, 4.0, 3.0, 2.5];
        let mut whole = Sampler::new(&sampling, None, VOCABULARY, 8);
        let mut draw = |sampler: &mut Sampler| sampler.sample(&logits, &mut candidates).ok();
        let tokens: Vec<_> = (0..4).filter_map(|_| draw(&mut whole)).collect();
        assert_eq!(tokens, [1, 2, 3, 1].map(Token));
        for cut in 0..4 {
            let mut rest = Sampler::new(&sampling, None, VOCABULARY, 8);
            for &token in &tokens[..cut] {
                assert!(matches!(rest.replay(token), Ok(true)));
            }
            assert_eq!(draw(&mut rest), Some(tokens[cut]));
        }
    }

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
        assert!(default.check(VOCABULARY).is_ok());
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
                ..default.clone()
            },
            Sampling {
                logit_bias: vec![(Token(VOCABULARY), 1.0)],
                ..default.clone()
            },
            Sampling {
                logit_bias: vec![(Token(0), f32::INFINITY)],
                ..default
            },
        ] {
            assert!(matches!(
                sampling.check(VOCABULARY),
                Err(EngineError::InvalidSampling { .. })
            ));
        }
    }
}

//! How probable tokens were.

use crate::{Alternative, Token, TokenLogprob};

/// How probable `token` was by `logits`, with the `top` likeliest tokens.
/// `piece` gives a token's bytes.
pub(crate) fn logprob(
    logits: &[f32],
    token: Token,
    top: usize,
    piece: impl Fn(Token) -> Vec<u8>,
) -> TokenLogprob {
    let normalizer = log_sum_exp(logits);
    let of = |index: usize| logits.get(index).map(|logit| logit - normalizer);
    let alternatives = likeliest(logits, top).into_iter().map(|index| Alternative {
        bytes: piece(Token(index as i32)),
        logprob: logits[index] - normalizer,
    });
    TokenLogprob {
        bytes: piece(token),
        logprob: usize::try_from(token.0).ok().and_then(of),
        top: alternatives.collect(),
    }
}

/// The logarithm of what the exponentials of `logits` add up to.
fn log_sum_exp(logits: &[f32]) -> f32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
    most + sum.ln()
}

/// The indices of the `count` greatest of `logits`, the greatest first. Few are
/// wanted of very many, so most of them are looked at once and left alone.
fn likeliest(logits: &[f32], count: usize) -> Vec<usize> {
    let mut best: Vec<usize> = Vec::with_capacity(count.min(logits.len()) + 1);
    for (index, logit) in logits.iter().enumerate() {
        let is_full = best.len() == count;
        if is_full && best.last().is_none_or(|&least| logits[least] >= *logit) {
            continue;
        }
        let place = best.partition_point(|&other| logits[other] >= *logit);
        best.insert(place, index);
        best.truncate(count);
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(token: Token) -> Vec<u8> {
        vec![token.0 as u8]
    }

    #[test]
    fn probabilities_are_natural_logarithms() {
        let logits = [1_f32, 3.0, 3.0, 1.0].map(f32::ln);
        let told = logprob(&logits, Token(0), 2, bytes);
        assert_eq!(told.bytes, [0]);
        assert!((told.logprob.unwrap() - 0.125_f32.ln()).abs() < 1e-6);
        let top: Vec<_> = told.top.iter().map(|top| top.bytes[0]).collect();
        assert_eq!(top, [1, 2]);
        assert!((told.top[0].logprob - 0.375_f32.ln()).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn the_likeliest_are_those_of_a_full_sort(
            logits in prop::collection::vec(-9_f32..9.0, 0..40),
            count in 0_usize..50,
        ) {
            let mut sorted: Vec<_> = (0..logits.len()).collect();
            sorted.sort_by(|&one, &other| logits[other].total_cmp(&logits[one]));
            sorted.truncate(count);
            prop_assert_eq!(likeliest(&logits, count), sorted);
        }

        #[test]
        fn probabilities_add_up_to_one(logits in prop::collection::vec(-60_f32..60.0, 1..40)) {
            let all = logprob(&logits, Token(0), logits.len(), bytes).top;
            let sum: f32 = all.iter().map(|top| top.logprob.exp()).sum();
            prop_assert!((sum - 1.0).abs() < 1e-3);
        }
    }
}

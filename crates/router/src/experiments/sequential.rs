//! Comparing two means while the data comes in, as often as one likes.
//!
//! The test is the mixture sequential probability ratio test with a normal mixture over the
//! effect (Robbins 1970; for two samples Johari, Pekelis and Walsh, "Always valid inference"). The
//! interval holds the true difference at *all* times together with the confidence asked for, so
//! whoever looks every day, and stops when it leaves zero out, is wrong no more often than that.
//! It rests on the central limit theorem, and on outcomes that are independent of one another.

use serde::Serialize;

/// Outcomes of an arm below which nothing is said of it: their mean is not normal yet.
const MIN_OUTCOMES: f64 = 50.0;
/// The effects that the test looks for first, as a part of half the range of outcomes. Smaller
/// ones are found too, later than by a test that looks for them.
const EFFECT: f64 = 0.1;

/// Outcomes of one arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// How many.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub squares: f64,
}

/// What outcomes can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcomes {
    /// Half the distance of the largest to the smallest.
    pub half_range: f64,
    /// Whether larger ones are better.
    pub more_is_better: bool,
}

/// How an arm differs from the first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// Its mean less that of the first arm.
    pub difference: f64,
    /// The interval that holds the true difference begins here…
    pub low: f64,
    /// … and ends here.
    pub high: f64,
    /// What that says.
    pub verdict: Verdict,
}

/// What is known of an arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may be better, or worse, or neither.
    Undecided,
    /// It is better than the first.
    Better,
    /// It is worse than the first.
    Worse,
}

impl Sample {
    /// Their mean; `None`: there are none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    /// Their standard deviation; `None`: there are none.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        let mean = self.mean()?;
        let variance = self.squares / self.count - mean * mean;
        Some(variance.max(0.0).sqrt())
    }

    /// The variance of the mean. One outcome as far off as can be is thought to be there too:
    /// where all that came are the same, the next need not be.
    fn variance_of_mean(&self, mean: f64, half_range: f64) -> f64 {
        let deviations = (self.squares - self.count * mean * mean).max(0.0);
        (deviations + half_range * half_range) / (self.count + 1.0) / self.count
    }
}

/// How `arm` differs from `first`, with an interval that is wrong with probability `alpha` at
/// most; `None` while there are too few outcomes.
#[must_use]
pub fn compare(first: Sample, arm: Sample, outcomes: Outcomes, alpha: f64) -> Option<Effect> {
    if first.count < MIN_OUTCOMES || arm.count < MIN_OUTCOMES {
        return None;
    }
    let (first_mean, arm_mean) = (first.mean()?, arm.mean()?);
    let difference = arm_mean - first_mean;
    let variance = first.variance_of_mean(first_mean, outcomes.half_range)
        + arm.variance_of_mean(arm_mean, outcomes.half_range);
    let radius = radius(variance, EFFECT * outcomes.half_range, alpha);
    let (low, high) = (difference - radius, difference + radius);
    let verdict = match (low > 0.0, high < 0.0) {
        (true, _) if outcomes.more_is_better => Verdict::Better,
        (_, true) if !outcomes.more_is_better => Verdict::Better,
        (false, false) => Verdict::Undecided,
        _ => Verdict::Worse,
    };
    Some(Effect {
        difference,
        low,
        high,
        verdict,
    })
}

/// Where the likelihood ratio of the mixture N(0, `scale`²) against a difference reaches
/// 1 / `alpha`, if the mean has this `variance`.
fn radius(variance: f64, scale: f64, alpha: f64) -> f64 {
    let mixed = variance + scale * scale;
    let evidence = 2.0 * (1.0 / alpha).ln() + (mixed / variance).ln();
    (variance * mixed * evidence).sqrt() / scale
}

#[cfg(test)]
mod tests;

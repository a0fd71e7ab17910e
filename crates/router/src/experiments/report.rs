//! What an experiment has come to.

use serde::Serialize;

use super::Parameters;
use super::counts::Sums;
use super::definition::{Arm, Experiment, GuardRail, State};
use super::sequential::{Effect, Outcomes, Sample, compare};

/// How often a verdict on one measure of an experiment may be wrong, over all its arms and however
/// often one looks.
const ALPHA: f64 = 0.05;
/// A score or its square, as the database holds it.
pub(super) const MILLIONTHS: f64 = 1_000_000.0;

/// What an experiment has come to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the experiment.
    pub experiment: String,
    /// Whose requests are in it.
    pub model: String,
    /// Whether requests are.
    pub state: State,
    /// In seconds since the epoch.
    pub created_at: i64,
    /// When an arm is stopped.
    pub guard_rail: GuardRail,
    /// How often the intervals hold the truth, all of one measure together, at all times.
    pub confidence: f64,
    /// Its arms; the others are compared with the first.
    pub arms: Vec<ArmReport>,
}

/// What an arm has come to.
#[derive(Clone, Debug, Serialize)]
pub struct ArmReport {
    /// Its name.
    pub arm: String,
    /// Its share is this part of the sum of all weights.
    pub weight: u32,
    /// Where the request does not say.
    pub parameters: Parameters,
    /// A version of the model.
    pub version: Option<u32>,
    /// When its requests went over to the first arm, in seconds since the epoch.
    pub stopped_at: Option<i64>,
    /// Generations.
    pub requests: i64,
    /// Those that failed, and not by the caller's fault.
    pub errors: i64,
    /// Which part of all.
    pub error_rate: Option<f64>,
    /// Tokens that were generated.
    pub tokens: i64,
    /// Mean time to the first token, in milliseconds.
    pub first_token_ms: Option<f64>,
    /// Its standard deviation, in milliseconds.
    pub first_token_deviation_ms: Option<f64>,
    /// Mean time to the end, in milliseconds.
    pub duration_ms: Option<f64>,
    /// Requests that were scored.
    pub scores: i64,
    /// Their mean score.
    pub score: Option<f64>,
    /// How the error rate differs from that of the first arm; `None`: too little came.
    pub error_rate_effect: Option<Effect>,
    /// How the mean score differs from that of the first arm; `None`: too little came.
    pub score_effect: Option<Effect>,
}

impl Report {
    /// Of an experiment as it is now.
    #[must_use]
    pub fn of(experiment: &Experiment) -> Self {
        let control = experiment.arms.first();
        // Several arms are several chances to be wrong (Bonferroni).
        let alpha = ALPHA / (experiment.arms.len().saturating_sub(1).max(1) as f64);
        let compared = |index: usize| control.filter(|_| index > 0);
        let arms = experiment.arms.iter().enumerate();
        Self {
            experiment: experiment.name.clone(),
            model: experiment.model.to_string(),
            state: experiment.state,
            created_at: experiment.created_at,
            guard_rail: experiment.guard_rail,
            confidence: 1.0 - ALPHA,
            arms: arms
                .map(|(index, arm)| ArmReport::of(arm, compared(index), alpha))
                .collect(),
        }
    }

    /// The arms that run and are worse than they may be, with what shows it.
    pub(super) fn harmful(&self) -> Vec<(&str, String)> {
        let GuardRail {
            max_error_increase,
            max_score_decrease,
        } = self.guard_rail;
        let running = self.arms.iter().filter(|arm| arm.stopped_at.is_none());
        let harmful = running.filter_map(|arm| {
            let worse = |what: &str, from: f64, to: f64, allowed: f64| {
                let why = format!("{what} by {from:.4} to {to:.4}, more than {allowed}");
                Some((arm.arm.as_str(), why))
            };
            match (arm.error_rate_effect, arm.score_effect) {
                (Some(errors), _) if errors.low > max_error_increase => {
                    let what = "the error rate is higher";
                    worse(what, errors.low, errors.high, max_error_increase)
                }
                (_, Some(scores)) if scores.high < -max_score_decrease => {
                    let what = "the mean score is lower";
                    worse(what, -scores.high, -scores.low, max_score_decrease)
                }
                _ => None,
            }
        });
        harmful.collect()
    }
}

impl ArmReport {
    fn of(arm: &Arm, control: Option<&Arm>, alpha: f64) -> Self {
        let sums = &arm.sums;
        let effect = |sample: fn(&Sums) -> Sample, outcomes| {
            compare(sample(&control?.sums), sample(sums), outcomes, alpha)
        };
        let first_token = Sample {
            count: number(sums.first_tokens),
            sum: number(sums.first_token_ms),
            squares: number(sums.first_token_ms_squared),
        };
        Self {
            arm: arm.name.clone(),
            weight: arm.weight,
            parameters: arm.parameters.clone(),
            version: arm.version,
            stopped_at: arm.stopped_at,
            requests: sums.requests,
            errors: sums.errors,
            error_rate: errors(sums).mean(),
            tokens: sums.tokens,
            first_token_ms: first_token.mean(),
            first_token_deviation_ms: first_token.deviation(),
            duration_ms: mean(sums.duration_ms, sums.requests),
            scores: sums.scores,
            score: scores(sums).mean(),
            error_rate_effect: effect(errors, ERRORS),
            score_effect: effect(scores, SCORES),
        }
    }
}

/// A request fails or does not.
const ERRORS: Outcomes = Outcomes {
    half_range: 0.5,
    more_is_better: false,
};
/// From -1 to 1.
const SCORES: Outcomes = Outcomes {
    half_range: 1.0,
    more_is_better: true,
};

fn errors(sums: &Sums) -> Sample {
    let errors = number(sums.errors);
    Sample {
        count: number(sums.requests),
        sum: errors,
        squares: errors,
    }
}

fn scores(sums: &Sums) -> Sample {
    Sample {
        count: number(sums.scores),
        sum: number(sums.score_sum) / MILLIONTHS,
        squares: number(sums.score_squares) / MILLIONTHS,
    }
}

fn mean(sum: i64, count: i64) -> Option<f64> {
    (count > 0).then(|| number(sum) / number(count))
}

fn number(count: i64) -> f64 {
    count as f64
}

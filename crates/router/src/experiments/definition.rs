//! What an experiment is.

use std::collections::HashSet;

use fathom_proto::id::ModelId;
use serde::Serialize;

use super::counts::Sums;
use super::{Error, Parameters};

/// Longest name of an experiment or an arm; names are in headers and labels.
const MAX_NAME: usize = 64;
/// Most arms: each further one needs more requests until anything is seen.
const MAX_ARMS: usize = 8;
/// Largest weight.
const MAX_WEIGHT: u32 = 1000;

/// A comparison of ways to answer for a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// Its name.
    pub name: String,
    /// Whose requests are in it.
    pub model: ModelId,
    /// Whether requests are.
    pub state: State,
    /// Makes its shares independent of those of any other.
    pub(super) salt: String,
    /// When an arm is stopped.
    pub guard_rail: GuardRail,
    /// In seconds since the epoch.
    pub created_at: i64,
    /// What is compared, the first with each of the others.
    pub arms: Vec<Arm>,
}

/// Whether requests are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// They are.
    Running,
    /// They were.
    Stopped,
}

impl State {
    /// As people and the database read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }
}

/// How much worse than the first arm another may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GuardRail {
    /// Error rate above that of the first, from 0 to 1.
    pub max_error_increase: f64,
    /// Mean score below that of the first, from 0 to 2.
    pub max_score_decrease: f64,
}

/// One way to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// Its share is this part of the sum of all weights.
    pub weight: u32,
    /// Where the request does not say.
    pub parameters: Parameters,
    /// A version of the model; `None`: the one that everybody gets.
    pub version: Option<u32>,
    /// When its requests went over to the first arm, in seconds since the epoch.
    pub stopped_at: Option<i64>,
    /// What its requests came to so far.
    pub sums: Sums,
}

/// An experiment that is to be made.
#[derive(Clone, Debug)]
pub struct NewExperiment {
    /// Its name: 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`.
    pub name: String,
    /// Whose requests are in it.
    pub model: ModelId,
    /// When an arm is stopped.
    pub guard_rail: GuardRail,
    /// Two or more, of which the first is what the others are compared with.
    pub arms: Vec<NewArm>,
}

/// An arm that is to be made.
#[derive(Clone, Debug)]
pub struct NewArm {
    /// Its name, as that of an experiment.
    pub name: String,
    /// From 1 to 1000.
    pub weight: u32,
    /// Where the request does not say.
    pub parameters: Parameters,
    /// A version of the model.
    pub version: Option<u32>,
}

impl NewExperiment {
    /// Refuses what cannot be an experiment.
    pub(super) fn check(&self) -> Result<(), Error> {
        check_name(&self.name)?;
        let GuardRail {
            max_error_increase,
            max_score_decrease,
        } = self.guard_rail;
        if !(0.0..=1.0).contains(&max_error_increase) {
            return invalid("the largest increase of the error rate must be from 0 to 1");
        }
        if !(0.0..=2.0).contains(&max_score_decrease) {
            return invalid("the largest decrease of the score must be from 0 to 2");
        }
        if !(2..=MAX_ARMS).contains(&self.arms.len()) {
            return invalid(format!("an experiment has 2 to {MAX_ARMS} arms"));
        }
        let mut names = HashSet::new();
        for arm in &self.arms {
            check_name(&arm.name)?;
            if !names.insert(&arm.name) {
                return invalid(format!("two arms are named `{}`", arm.name));
            }
            if !(1..=MAX_WEIGHT).contains(&arm.weight) {
                return invalid(format!("a weight must be from 1 to {MAX_WEIGHT}"));
            }
            arm.parameters.check()?;
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(allowed) {
        return invalid("a name is 1 to 64 of the characters a-z, 0-9, -, _ and .");
    }
    Ok(())
}

fn invalid<T>(problem: impl Into<String>) -> Result<T, Error> {
    Err(Error::Invalid(problem.into()))
}

//! Experiments as they are printed.

use fathom_router::experiments::{
    ArmReport, Effect, Experiment, ExperimentChange, Report, Verdict,
};
use serde::{Serialize, Serializer};

use crate::admin::output::{Output, Tabular, time};

/// An experiment in a list.
pub(super) struct Listed(pub Experiment);

impl Serialize for Listed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Report::of(&self.0).serialize(serializer)
    }
}

impl Tabular for Listed {
    const HEADINGS: &[&str] = &[
        "name", "model", "state", "arms", "requests", "scores", "created",
    ];

    fn cells(&self) -> Vec<String> {
        let Self(experiment) = self;
        let arms: Vec<&str> = experiment
            .arms
            .iter()
            .map(|arm| arm.name.as_str())
            .collect();
        let sums = experiment.arms.iter().map(|arm| &arm.sums);
        let requests: i64 = sums.clone().map(|sums| sums.requests).sum();
        let scores: i64 = sums.map(|sums| sums.scores).sum();
        vec![
            experiment.name.clone(),
            experiment.model.to_string(),
            experiment.state.name().to_owned(),
            arms.join(","),
            requests.to_string(),
            scores.to_string(),
            time(experiment.created_at),
        ]
    }
}

/// What an experiment has come to, and how it was changed.
#[derive(Serialize)]
pub(super) struct FullReport {
    #[serde(flatten)]
    pub report: Report,
    pub changes: Vec<ExperimentChange>,
}

impl FullReport {
    /// One object; or tables of arms, of how they differ, and of changes.
    pub fn print(self, output: Output) -> anyhow::Result<()> {
        if output.json {
            return output.one(&self);
        }
        output.list(&self.report.arms)?;
        output.done("")?;
        let control = self.report.arms.first().map_or("", |arm| arm.arm.as_str());
        let confidence = self.report.confidence * 100.0;
        let differences: Vec<Difference> = self
            .report
            .arms
            .iter()
            .skip(1)
            .flat_map(|arm| Difference::both(arm, control))
            .collect();
        output.list(&differences)?;
        output.done(&format!(
            "\nThe intervals hold the true differences with {confidence:.0} % confidence however \
             often you look.\n"
        ))?;
        output.list(&self.changes)
    }
}

impl Tabular for FullReport {
    const HEADINGS: &[&str] = &["experiment"];

    fn cells(&self) -> Vec<String> {
        vec![self.report.experiment.clone()]
    }
}

impl Tabular for ArmReport {
    const HEADINGS: &[&str] = &[
        "arm",
        "state",
        "weight",
        "version",
        "parameters",
        "requests",
        "errors",
        "error rate",
        "tokens",
        "first token",
        "duration",
        "scores",
        "mean score",
    ];

    fn cells(&self) -> Vec<String> {
        let state = match self.stopped_at {
            None => "runs".to_owned(),
            Some(at) => format!("stopped {}", time(at)),
        };
        let milliseconds = |time: Option<f64>| or_dash(time.map(|time| format!("{time:.0} ms")));
        vec![
            self.arm.clone(),
            state,
            self.weight.to_string(),
            or_dash(self.version.map(|version| version.to_string())),
            serde_json::to_string(&self.parameters).unwrap_or_default(),
            self.requests.to_string(),
            self.errors.to_string(),
            or_dash(self.error_rate.map(|rate| format!("{rate:.4}"))),
            self.tokens.to_string(),
            milliseconds(self.first_token_ms),
            milliseconds(self.duration_ms),
            self.scores.to_string(),
            or_dash(self.score.map(|score| format!("{score:.4}"))),
        ]
    }
}

/// How an arm differs from the first in one measure.
#[derive(Serialize)]
struct Difference {
    arm: String,
    measure: &'static str,
    effect: Option<Effect>,
}

impl Difference {
    fn both(arm: &ArmReport, control: &str) -> [Self; 2] {
        let effects = [
            ("error rate", arm.error_rate_effect),
            ("mean score", arm.score_effect),
        ];
        effects.map(|(measure, effect)| Self {
            arm: format!("{} - {control}", arm.arm),
            measure,
            effect,
        })
    }
}

impl Tabular for Difference {
    const HEADINGS: &[&str] = &["arms", "measure", "difference", "interval", "verdict"];

    fn cells(&self) -> Vec<String> {
        let (difference, interval, verdict) = match self.effect {
            None => ("-".to_owned(), "-".to_owned(), "too little to tell"),
            Some(effect) => (
                format!("{:+.4}", effect.difference),
                format!("{:+.4} to {:+.4}", effect.low, effect.high),
                match effect.verdict {
                    Verdict::Undecided => "undecided",
                    Verdict::Better => "better",
                    Verdict::Worse => "worse",
                },
            ),
        };
        vec![
            self.arm.clone(),
            self.measure.to_owned(),
            difference,
            interval,
            verdict.to_owned(),
        ]
    }
}

impl Tabular for ExperimentChange {
    const HEADINGS: &[&str] = &["at", "change", "arm", "who", "why"];

    fn cells(&self) -> Vec<String> {
        vec![
            time(self.at),
            self.change.clone(),
            self.arm.clone().unwrap_or_else(|| "all".to_owned()),
            self.who.clone(),
            self.why.clone(),
        ]
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

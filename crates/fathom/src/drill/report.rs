//! What the clients of a drill noticed.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use serde::Serialize;
use tokio::time::Instant;

use crate::drill::ledger::{Ledger, Line, Outcome};

/// Most problems that are told one by one.
const TOLD: usize = 10;

/// What happened to the streams; times are in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was asked.
    pub seed: u32,
    /// Streams of the whole drill.
    pub streams: usize,
    /// Those that had begun and not ended when the zone was killed.
    pub running: usize,
    /// Those of them that ran there.
    pub struck: usize,
    /// Those of them that another worker went on with.
    pub continued: usize,
    /// Streams whose answer is not complete and right.
    pub lost: usize,
    /// From a request to its first token, of those that came before the zone was killed.
    pub first_token_before: Times,
    /// The same, of those that came soon after.
    pub first_token_after: Times,
    /// What is between the two.
    pub added_first_token: Times,
    /// Until the last of the streams that ran got its next token.
    pub recovery: u64,
    /// What is wrong with the streams that are lost, and what was left behind.
    pub problems: Vec<String>,
    /// Where the logs of a drill that failed are.
    pub logs: Option<PathBuf>,
}

/// The middle one of some times, and the one that 99 of 100 do not exceed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// The middle one.
    pub p50: u64,
    /// Only 1 of 100 is longer.
    pub p99: u64,
}

impl Report {
    /// Of what `ledger` says about a zone with `struck` streams that was killed at `killed`;
    /// requests that came up to `watched` before and after it are compared.
    #[must_use]
    pub fn new(
        seed: u32,
        ledger: &Ledger,
        killed: Instant,
        watched: Duration,
        struck: usize,
        left_behind: Option<anyhow::Error>,
    ) -> Self {
        let lines = ledger.snapshot();
        let ran = |line: &&Line| line.begun < killed && line.ended.is_none_or(|end| end > killed);
        let lost: Vec<&Line> = lines.iter().filter(|line| line.is_lost()).collect();
        let first_tokens = |from: Instant, to: Instant| {
            let begun = lines.iter().filter(|line| (from..to).contains(&line.begun));
            Times::of(begun.filter_map(Line::first_token))
        };
        let before = first_tokens(killed - watched, killed);
        let after = first_tokens(killed, killed + watched);
        let pauses = lines.iter().filter_map(|line| line.pause_after(killed));
        let mut problems: Vec<String> = lost.iter().take(TOLD).map(|line| line.told()).collect();
        if let Err(wrong) = ledger.audit() {
            problems.extend(wrong.into_iter().take(TOLD));
        }
        problems.extend(left_behind.map(|error| error.to_string()));
        let lost_running = lost.iter().copied().filter(ran).count();
        Self {
            seed,
            streams: lines.len(),
            running: lines.iter().filter(ran).count(),
            struck,
            continued: struck.saturating_sub(lost_running),
            lost: lost.len(),
            first_token_before: before,
            first_token_after: after,
            added_first_token: Times {
                p50: after.p50.saturating_sub(before.p50),
                p99: after.p99.saturating_sub(before.p99),
            },
            recovery: milliseconds(pauses.max().unwrap_or_default()),
            problems,
            logs: None,
        }
    }

    /// The same, with the folder that the processes wrote to.
    #[must_use]
    pub fn with_logs(self, logs: PathBuf) -> Self {
        Self {
            logs: Some(logs),
            ..self
        }
    }

    /// Writes it to standard output, for people or as JSON.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn print(&self, json: bool) -> anyhow::Result<()> {
        let text = if json {
            serde_json::to_string_pretty(self)? + "\n"
        } else {
            self.text()?
        };
        Ok(io::stdout().write_all(text.as_bytes())?)
    }

    /// Whether nobody noticed more than a delay.
    ///
    /// # Errors
    /// Somebody did.
    pub fn verdict(&self) -> anyhow::Result<()> {
        if self.lost > 0 {
            bail!("{} of {} streams were lost", self.lost, self.streams);
        }
        if let Some(problem) = self.problems.first() {
            bail!("no stream was lost, but: {problem}");
        }
        if self.struck == 0 {
            bail!("nothing ran in the zone that was killed, so nothing is proven");
        }
        Ok(())
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let Self {
            first_token_before: before,
            first_token_after: after,
            added_first_token: added,
            ..
        } = self;
        let mut text = format!(
            "A zone was killed while {} streams ran, {} of them in it (seed {}).\n\n",
            self.running, self.struck, self.seed
        );
        for (name, value) in [
            ("streams", self.streams.to_string()),
            ("lost streams", self.lost.to_string()),
            ("continued streams", self.continued.to_string()),
            ("first token before", before.to_string()),
            ("first token after", after.to_string()),
            ("added first-token time", added.to_string()),
            ("recovery", format!("{} ms", self.recovery)),
        ] {
            writeln!(text, "  {name:24}{value}")?;
        }
        for problem in &self.problems {
            writeln!(text, "  {problem}")?;
        }
        if let Some(logs) = &self.logs {
            writeln!(text, "\nThe logs are in {}.", logs.display())?;
        }
        Ok(text)
    }
}

impl Line {
    fn is_lost(&self) -> bool {
        self.outcome != Some(Outcome::Complete) || self.contradiction(&Outcome::Complete).is_some()
    }

    fn told(&self) -> String {
        let tokens = self.pieces.len();
        let Self {
            question, outcome, ..
        } = self;
        let ended = outcome
            .as_ref()
            .map_or_else(|| "none".to_owned(), |outcome| format!("{outcome:?}"));
        format!(
            "stream {} ended after {tokens} of {} tokens: {ended}",
            question.id, question.tokens
        )
    }
}

impl Times {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = times.collect();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(rank).copied().map_or(0, milliseconds)
        };
        Self {
            p50: at(50),
            p99: at(99),
        }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ms, p99 {} ms", self.p50, self.p99)
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_99th_of_100_are_told() {
        let times = Times::of((1..=100).rev().map(Duration::from_millis));
        assert_eq!(times, Times { p50: 50, p99: 99 });
        assert_eq!(Times::of(std::iter::empty()), Times::default());
        let one = Times::of(std::iter::once(Duration::from_millis(7)));
        assert_eq!(one, Times { p50: 7, p99: 7 });
    }
}

//! Takes a worker that fails out of rotation, and finds out when it works again.

mod config;
#[cfg(test)]
mod tests;
mod window;

use std::time::Duration;

use fathom_kit::backoff::Backoff;
use tokio::time::Instant;

use crate::breaker::window::Window;
use crate::outcome::Verdict;

pub use config::BreakerConfig;

/// What one worker did lately, and whether it may be asked. It has no clock: it is told the time.
pub(crate) struct Breaker {
    config: BreakerConfig,
    state: State,
    /// Counts changes of the state, so that what began before one says nothing after it.
    period: u32,
    window: Window,
    /// Failures since the last success.
    consecutive: u32,
    backoff: Backoff,
}

enum State {
    /// In rotation; after an outage, since when.
    Closed { since: Option<Instant> },
    /// Out of rotation.
    Open { until: Instant },
    /// One request at a time finds out.
    HalfOpen { probe: Option<Probe> },
}

/// The request that finds out.
struct Probe {
    first_token: Option<Instant>,
}

/// Whether a worker may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// As any other.
    Free,
    /// By one request, which finds out.
    Probe,
    /// Not now; maybe after so long.
    Out(Duration),
}

/// Leave to ask a worker once; goes back with [`Breaker::settle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    period: u32,
    probe: bool,
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The worker is out of rotation for so long.
    Opened(Duration),
    /// It is back.
    Closed,
}

impl Pass {
    /// Whether this request finds out.
    pub fn is_probe(self) -> bool {
        self.probe
    }
}

impl Breaker {
    pub fn new(config: BreakerConfig) -> Self {
        Self {
            state: State::Closed { since: None },
            period: 0,
            window: Window::new(config.window),
            consecutive: 0,
            backoff: backoff(config),
            config,
        }
    }

    /// Whether the worker may be asked at `now`.
    pub fn admission(&self, now: Instant) -> Admission {
        match &self.state {
            State::Closed { .. } => Admission::Free,
            State::Open { until } if now < *until => Admission::Out(*until - now),
            State::Open { .. } | State::HalfOpen { probe: None } => Admission::Probe,
            State::HalfOpen { probe: Some(probe) } if self.has_proved(probe, now) => {
                Admission::Free
            }
            State::HalfOpen { .. } => Admission::Out(self.config.first_open),
        }
    }

    /// Takes leave to ask the worker.
    ///
    /// # Errors
    /// When it may be asked instead.
    pub fn admit(&mut self, now: Instant) -> Result<Pass, Duration> {
        let admission = self.admission(now);
        match (admission, &self.state) {
            (Admission::Out(after), _) => return Err(after),
            (Admission::Free, State::HalfOpen { .. }) => self.close(now),
            (Admission::Free, _) => {}
            (Admission::Probe, _) => {
                let probe = Some(Probe { first_token: None });
                self.state = State::HalfOpen { probe };
            }
        }
        Ok(Pass {
            period: self.period,
            probe: admission == Admission::Probe,
        })
    }

    /// The request with this leave has its first token.
    pub fn first_token(&mut self, pass: Pass, now: Instant) {
        if let State::HalfOpen { probe: Some(probe) } = &mut self.state
            && pass.probe
            && pass.period == self.period
        {
            probe.first_token = Some(now);
        }
    }

    /// Counts how the request with this leave ended.
    pub fn settle(&mut self, pass: Pass, verdict: Verdict, now: Instant) -> Option<Change> {
        if pass.period != self.period {
            return None;
        }
        if pass.probe {
            return match verdict {
                Verdict::Success => {
                    self.close(now);
                    Some(Change::Closed)
                }
                Verdict::Failure => Some(self.open(now)),
                Verdict::Refusal | Verdict::Nothing => {
                    self.state = State::HalfOpen { probe: None };
                    None
                }
            };
        }
        match verdict {
            Verdict::Success => {
                self.consecutive = 0;
                self.window.count(false, now);
                None
            }
            Verdict::Failure => {
                self.consecutive = self.consecutive.saturating_add(1);
                self.window.count(true, now);
                self.fails().then(|| self.open(now))
            }
            Verdict::Refusal | Verdict::Nothing => None,
        }
    }

    /// Since when it is back from an outage; `None`: it had none.
    pub fn recovered(&self) -> Option<Instant> {
        match self.state {
            State::Closed { since } => since,
            State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    fn fails(&self) -> bool {
        if self.window.volume() < self.config.min_volume {
            return self.consecutive >= self.config.consecutive.get();
        }
        self.window.surely_above(self.config.error_rate)
    }

    /// A long answer need not end before the worker is trusted.
    fn has_proved(&self, probe: &Probe, now: Instant) -> bool {
        let begun = probe.first_token;
        begun.is_some_and(|begun| now.saturating_duration_since(begun) >= self.config.window)
    }

    fn open(&mut self, now: Instant) -> Change {
        // Who failed again shortly after it came back stays away for longer.
        if let State::Closed { since } = self.state
            && since.is_none_or(|since| {
                now.saturating_duration_since(since) >= self.config.longest_open
            })
        {
            self.backoff = backoff(self.config);
        }
        let delay = self.backoff.next_delay();
        self.change(State::Open { until: now + delay });
        Change::Opened(delay)
    }

    fn close(&mut self, now: Instant) {
        self.change(State::Closed { since: Some(now) });
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.period = self.period.wrapping_add(1);
        self.window.clear();
        self.consecutive = 0;
    }
}

fn backoff(config: BreakerConfig) -> Backoff {
    let BreakerConfig {
        first_open,
        longest_open,
        ..
    } = config;
    Backoff::new(first_open, longest_open.max(first_open))
}

//! The line of requests that wait because every worker of their model is full.
//!
//! Workers say that they are full by refusing; who is refused waits here, and whoever comes while
//! others wait joins them without asking a worker first. A place that gets free is one turn.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// How often one of those who wait asks a worker though no place is known to be free: streams of
/// other routers end unheard.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// Of the longest wait, the part that remains when the line does not get empty any more.
const OVERLOADED_SHARE: u32 = 4;

/// `[router.queue]`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueConfig {
    /// Most requests that wait for one model; the one that waits longest goes when another comes.
    pub max_length: usize,
    /// Longest wait; nothing that waited longer is sent to a worker. When the line does not get
    /// empty for as long, the newest is next, and a quarter of this is the longest wait.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            max_length: 1_000,
            max_age: Duration::from_secs(2),
        }
    }
}

/// Those who wait for one model.
pub(crate) struct Line {
    config: QueueConfig,
    waiting: Mutex<Waiting>,
    /// As long as the line, to be read without its lock.
    length: AtomicUsize,
}

struct Waiting {
    /// In the order in which they came.
    turns: BTreeMap<u64, oneshot::Sender<Turn>>,
    next_number: u64,
    /// When the line was last empty.
    busy_since: Instant,
    /// No earlier than this a worker is asked without a place known to be free.
    probe_at: Instant,
}

/// A place in the order, kept when a turn leads to nothing.
#[derive(Debug)]
pub(crate) struct Ticket {
    number: u64,
    entered: Instant,
}

/// Why it is somebody's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A place got free.
    Freed,
    /// It is time to look whether one is.
    Probe,
}

/// Why somebody waited in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shed {
    /// Too long.
    Age,
    /// In a line that got too long.
    Length,
    /// Until the deadline could not be met any more.
    Deadline,
}

impl Line {
    pub fn new(config: QueueConfig) -> Self {
        let now = Instant::now();
        Self {
            config,
            waiting: Mutex::new(Waiting {
                turns: BTreeMap::new(),
                next_number: 0,
                busy_since: now,
                probe_at: now,
            }),
            length: AtomicUsize::new(0),
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    /// Longest wait there can be.
    pub fn max_age(&self) -> Duration {
        self.config.max_age
    }

    /// Comes behind everybody who came before.
    pub fn enter(&self) -> Ticket {
        let mut waiting = self.lock();
        let number = waiting.next_number;
        waiting.next_number += 1;
        Ticket {
            number,
            entered: Instant::now(),
        }
    }

    /// A place got free: whoever is next has a turn.
    pub fn freed(&self) {
        if self.len() == 0 {
            return;
        }
        let mut waiting = self.lock();
        waiting.probe_at = waiting.probe_at.max(Instant::now() + PROBE_INTERVAL);
        self.give(&mut waiting, Turn::Freed);
    }

    /// Workers ask to be left alone for so long.
    pub fn rest(&self, duration: Duration) {
        let mut waiting = self.lock();
        waiting.probe_at = waiting.probe_at.max(Instant::now() + duration);
    }

    /// Waits for a turn, no longer than `until`. Who drops this leaves the line.
    pub async fn wait(&self, ticket: &Ticket, until: Option<Instant>) -> Result<Turn, Shed> {
        let mut place = self.join(ticket);
        loop {
            let now = Instant::now();
            let too_old = ticket.entered + self.age_limit(now);
            let give_up = until.map_or(too_old, |until| until.min(too_old));
            let look = give_up.min(now + PROBE_INTERVAL);
            match timeout_at(look, &mut place.turn).await {
                Ok(Ok(turn)) if Instant::now() <= give_up => {
                    place.is_over = true;
                    return Ok(turn);
                }
                // The turn is another's now: dropping the place passes it on.
                Ok(Ok(_)) => return Err(Shed::Age),
                Ok(Err(_)) => {
                    place.is_over = true;
                    return Err(Shed::Length);
                }
                Err(_) if look == give_up && give_up < too_old => return Err(Shed::Deadline),
                Err(_) if look == give_up => return Err(Shed::Age),
                Err(_) => self.probe(),
            }
        }
    }

    fn join(&self, ticket: &Ticket) -> Joined<'_> {
        let (sender, turn) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.turns.is_empty() {
            waiting.busy_since = Instant::now();
        }
        waiting.turns.insert(ticket.number, sender);
        if waiting.turns.len() > self.config.max_length.max(1) {
            waiting.turns.pop_first();
        }
        self.length.store(waiting.turns.len(), Ordering::Relaxed);
        Joined {
            line: self,
            number: ticket.number,
            turn,
            is_over: false,
        }
    }

    /// Gives whoever is next a turn, if it is time to look.
    fn probe(&self) {
        let now = Instant::now();
        let mut waiting = self.lock();
        if now >= waiting.probe_at {
            waiting.probe_at = now + PROBE_INTERVAL;
            self.give(&mut waiting, Turn::Probe);
        }
    }

    fn give(&self, waiting: &mut Waiting, turn: Turn) {
        let overloaded = self.is_overloaded(waiting, Instant::now());
        loop {
            let next = if overloaded {
                waiting.turns.pop_last()
            } else {
                waiting.turns.pop_first()
            };
            self.length.store(waiting.turns.len(), Ordering::Relaxed);
            // Whoever has left meanwhile does not take it.
            if next.is_none_or(|(_, next)| next.send(turn).is_ok()) {
                return;
            }
        }
    }

    fn age_limit(&self, now: Instant) -> Duration {
        if self.is_overloaded(&self.lock(), now) {
            self.config.max_age / OVERLOADED_SHARE
        } else {
            self.config.max_age
        }
    }

    /// Whether the line is more than a burst: it was not empty for as long as anybody may wait.
    fn is_overloaded(&self, waiting: &Waiting, now: Instant) -> bool {
        !waiting.turns.is_empty() && now.duration_since(waiting.busy_since) >= self.config.max_age
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody in the line.
struct Joined<'a> {
    line: &'a Line,
    number: u64,
    turn: oneshot::Receiver<Turn>,
    is_over: bool,
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut waiting = self.line.lock();
        if waiting.turns.remove(&self.number).is_none() {
            // It was this one's turn, unless the line was too long.
            self.line.give(&mut waiting, Turn::Freed);
        }
        let length = waiting.turns.len();
        self.line.length.store(length, Ordering::Relaxed);
    }
}

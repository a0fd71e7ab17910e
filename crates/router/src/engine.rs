//! One engine of a worker: what it has to do, and how fast it begins.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fathom_proto::catalog::Deployment;
use fathom_proto::engines::EngineLoad;
use tokio::time::Instant;

use crate::balance::Candidate;
use crate::health::Health;

/// Slots of an engine that does not say how many it has.
const ASSUMED_SLOTS: u32 = 8;

/// First tokens that take less longer than this are as good as equally fast.
const FAST: Duration = Duration::from_millis(100);

/// After so long an old first token counts half.
const FIRST_TOKEN_HALF_LIFE: Duration = Duration::from_secs(10);

/// A refusal is as much load as all slots, and after so long half of it.
const REFUSAL_HALF_LIFE: Duration = Duration::from_secs(5);

/// A worker that refused has no room for so long, whatever its count says.
const REFUSAL_REST: Duration = Duration::from_millis(250);

/// More refusals weigh no more than so many.
const MOST_REFUSALS: f64 = 4.0;

/// The smallest share of a new worker: it must get something to prove itself with.
const COLDEST: f64 = 0.1;

/// One engine of a worker, under however many names.
pub(crate) struct Engine {
    pub deployment: Arc<Deployment>,
    /// Whether it may be asked.
    pub health: Health,
    /// Streams that it runs for this router.
    streams: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    slots: u32,
    /// Streams that it has for other routers, as far as is known.
    foreign: usize,
    first_token: Fading,
    refusals: Fading,
    refused_at: Option<Instant>,
}

impl State {
    fn rests(&self, now: Instant) -> bool {
        let since = |refused: Instant| now.saturating_duration_since(refused);
        self.refused_at
            .is_some_and(|refused| since(refused) < REFUSAL_REST)
    }
}

impl Engine {
    pub fn new(deployment: Deployment, health: Health, now: Instant) -> Arc<Self> {
        Arc::new(Self {
            deployment: Arc::new(deployment),
            health,
            streams: AtomicUsize::new(0),
            state: Mutex::new(State {
                slots: 0,
                foreign: 0,
                first_token: Fading::new(FIRST_TOKEN_HALF_LIFE, now),
                refusals: Fading::new(REFUSAL_HALF_LIFE, now),
                refused_at: None,
            }),
        })
    }

    /// Streams that it runs for this router.
    pub fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// Notes what it says that it has to do. What this router sent it is in that number and is
    /// known better here, so only the rest of it counts, until it is said anew.
    pub fn announce(&self, load: EngineLoad) {
        let all = load.running as usize + load.queued as usize;
        let mut state = self.state();
        state.slots = load.slots;
        state.foreign = all.saturating_sub(self.streams());
    }

    /// A first token came so long after its attempt began.
    pub fn first_token(&self, after: Duration, now: Instant) {
        self.state().first_token.average(after.as_secs_f64(), now);
    }

    /// It refused a request because it has enough to do.
    pub fn refused(&self, now: Instant) {
        let mut state = self.state();
        let refusals = state.refusals.at(now) + 1.0;
        state.refusals.set(refusals.min(MOST_REFUSALS), now);
        state.refused_at = Some(now);
    }

    /// Whether a slot is known to be free, of however new a worker.
    pub fn has_room(&self, now: Instant) -> bool {
        let state = self.state();
        self.streams() + state.foreign < state.slots as usize && !state.rests(now)
    }

    /// Whether it has just refused a request.
    pub fn rests(&self, now: Instant) -> bool {
        self.state().rests(now)
    }

    /// As a policy sees it, given how much of its share a worker gets that came or was back at
    /// `since`, and how much of the prompt it has seen.
    pub fn candidate(
        &self,
        now: Instant,
        since: Option<Instant>,
        slow_start: Duration,
        seen: f64,
    ) -> Candidate {
        let warmth = warmth(now, since, slow_start);
        let state = self.state();
        let slots = match state.slots {
            0 => ASSUMED_SLOTS,
            slots => slots,
        };
        let weight = f64::from(slots) * warmth;
        let streams = (self.streams() + state.foreign + 1) as f64;
        let first_token = state.first_token.at(now);
        Candidate {
            load: streams / weight + state.refusals.at(now),
            slowness: 1.0 + first_token / FAST.as_secs_f64(),
            weight,
            warmth,
            seen,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn warmth(now: Instant, since: Option<Instant>, slow_start: Duration) -> f64 {
    let age = since.map(|since| now.saturating_duration_since(since));
    match age {
        Some(age) if age < slow_start => {
            (age.as_secs_f64() / slow_start.as_secs_f64()).max(COLDEST)
        }
        _ => 1.0,
    }
}

/// One more stream on an engine, for as long as this lives.
pub(crate) struct Load(Arc<Engine>);

impl Load {
    pub fn on(engine: &Arc<Engine>) -> Self {
        engine.streams.fetch_add(1, Ordering::Relaxed);
        Self(engine.clone())
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.0
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A number that fades: what made it so may be over, and nobody learns that who does not ask.
struct Fading {
    value: f64,
    at: Instant,
    half_life: Duration,
}

impl Fading {
    fn new(half_life: Duration, at: Instant) -> Self {
        Self {
            value: 0.0,
            at,
            half_life,
        }
    }

    fn at(&self, now: Instant) -> f64 {
        self.value * self.share_left(now)
    }

    fn set(&mut self, value: f64, now: Instant) {
        (self.value, self.at) = (value, now);
    }

    /// Takes a sample into the average over time.
    fn average(&mut self, sample: f64, now: Instant) {
        let old = match self.value {
            0.0 => 0.0,
            _ => self.share_left(now).min(0.9),
        };
        self.set(self.value * old + sample * (1.0 - old), now);
    }

    fn share_left(&self, now: Instant) -> f64 {
        if self.value == 0.0 {
            return 0.0;
        }
        let age = now.saturating_duration_since(self.at);
        (-(age.as_secs_f64() / self.half_life.as_secs_f64())).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BreakerConfig;

    const SLOW_START: Duration = Duration::from_secs(10);

    fn engine(now: Instant, slots: u32) -> Arc<Engine> {
        let deployment = Deployment {
            backend: "sim".into(),
            weights: "words".into(),
            context_length: 10,
        };
        let health = Health::new("worker".into(), BreakerConfig::default());
        let engine = Engine::new(deployment, health, now);
        engine.announce(said(slots, 0, 0));
        engine
    }

    fn said(slots: u32, running: u32, queued: u32) -> EngineLoad {
        EngineLoad {
            slots,
            running,
            queued,
            ..EngineLoad::default()
        }
    }

    fn seen(engine: &Engine, now: Instant) -> Candidate {
        engine.candidate(now, None, SLOW_START, 0.0)
    }

    #[test]
    fn streams_of_this_router_count_once() {
        let now = Instant::now();
        let engine = engine(now, 4);
        let loads: Vec<_> = (0..3).map(|_| Load::on(&engine)).collect();
        assert_eq!(seen(&engine, now).load, 1.0);
        engine.announce(said(4, 3, 0));
        assert_eq!(seen(&engine, now).load, 1.0);
        engine.announce(said(4, 4, 1));
        assert_eq!(seen(&engine, now).load, 1.5);
        drop(loads);
        assert_eq!(seen(&engine, now).load, 0.75, "two are of others");
    }

    #[test]
    fn refusals_are_load_that_fades() {
        let now = Instant::now();
        let engine = engine(now, 4);
        engine.refused(now);
        assert!(seen(&engine, now).is_full());
        assert_eq!(seen(&engine, now + REFUSAL_HALF_LIFE).load, 0.75);
        for _ in 0..100 {
            engine.refused(now);
        }
        assert_eq!(seen(&engine, now).load, MOST_REFUSALS + 0.25);
    }

    #[test]
    fn room_is_a_free_slot_of_a_worker_that_does_not_refuse() {
        let now = Instant::now();
        let engine = engine(now, 2);
        let first = Load::on(&engine);
        assert!(engine.has_room(now));
        let _second = Load::on(&engine);
        assert!(!engine.has_room(now));
        drop(first);
        engine.refused(now);
        assert!(!engine.has_room(now));
        assert!(engine.has_room(now + REFUSAL_REST));
        engine.announce(said(0, 0, 0));
        assert!(!engine.has_room(now + REFUSAL_REST), "it does not say");
    }

    #[test]
    fn slow_first_tokens_make_it_slow_until_they_are_forgotten() {
        let mut now = Instant::now();
        let engine = engine(now, 4);
        assert_eq!(seen(&engine, now).slowness, 1.0);
        engine.first_token(FAST * 2, now);
        assert!((seen(&engine, now).slowness - 3.0).abs() < 1e-9);
        for _ in 0..100 {
            engine.first_token(FAST, now);
        }
        assert!((seen(&engine, now).slowness - 2.0).abs() < 0.01);
        now += FIRST_TOKEN_HALF_LIFE;
        assert!((seen(&engine, now).slowness - 1.5).abs() < 0.01);
    }

    #[test]
    fn a_new_worker_gets_its_share_little_by_little() {
        let begin = Instant::now();
        let engine = engine(begin, 10);
        for (seconds, weight) in [(0, 1.0), (5, 5.0), (10, 10.0), (99, 10.0)] {
            let now = begin + Duration::from_secs(seconds);
            let candidate = engine.candidate(now, Some(begin), SLOW_START, 0.0);
            assert_eq!(candidate.weight, weight);
        }
        let at_once = engine.candidate(begin, Some(begin), Duration::ZERO, 0.0);
        assert_eq!(at_once.weight, 10.0);
    }
}

//! The workers of one model name, and the choice of one.

mod walk;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::affinity::{Index, Seen};
use crate::balance::{BalanceConfig, Candidate, Policy};
use crate::breaker::{Admission, Pass};
use crate::connection::Connection;
use crate::engine::Engine;
use crate::place::Ask;
use crate::registry::pool::walk::Walk;

/// How often a worker is chosen anew when another request took its probe meanwhile.
const TRIES: usize = 4;

/// Of so many requests one looks whether a worker of another zone is to be tried again: while
/// the own zone has room, nothing else would.
const FAR_PROBES: u32 = 16;

/// So many workers of a zone are looked at for a free slot.
const LOOKED_AT_FOR_ROOM: usize = 32;

/// A worker that answers to the name.
#[derive(Clone)]
pub(super) struct Member {
    pub connection: Arc<Connection>,
    pub engine: Arc<Engine>,
    /// Whether it is in the zone of this router.
    pub near: bool,
}

/// Whether a worker may be asked, and since when it can be.
struct Standing {
    admission: Admission,
    /// When it appeared or was back last; `None`: it was there from the start.
    since: Option<Instant>,
}

impl Member {
    /// `None`: its lease is over.
    fn standing(&self, now: Instant) -> Option<Standing> {
        let live = self.connection.is_live(now);
        live.then(|| {
            let (admission, recovered) = self.engine.health.admission(now);
            Standing {
                admission,
                since: recovered.max(self.connection.appeared),
            }
        })
    }
}

/// How workers are chosen.
pub(super) struct Balancer {
    config: BalanceConfig,
    /// Absent unless the policy needs it.
    index: Option<Index>,
}

impl Balancer {
    pub fn new(config: BalanceConfig) -> Self {
        let affinity = config.policy == Policy::PrefixAffinity;
        let index = affinity.then(|| Index::new(config.prefix_index_bytes));
        Self { config, index }
    }
}

/// The workers of one model name. It never changes: another takes its place.
pub(super) struct Pool {
    /// Of the zone of this router, in the order of their numbers.
    near: Vec<Member>,
    /// Of other zones.
    far: Vec<Member>,
    turn: AtomicUsize,
}

/// What a choice leads to.
pub(super) enum Found<'a> {
    Member(&'a Member, Pass),
    /// All that fit are out; one may not be after so long.
    Out(Duration),
    Nobody,
}

impl Pool {
    pub fn new(mut members: Vec<Member>) -> Self {
        members.sort_by_key(|member| member.connection.number);
        let (near, far) = members.into_iter().partition(|member| member.near);
        let turn = AtomicUsize::new(0);
        Self { near, far, turn }
    }

    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.near.iter().chain(&self.far)
    }

    /// Whether there is a worker that fits and may be asked.
    pub fn serves(&self, ask: &Ask<'_>, now: Instant) -> bool {
        self.members().any(|member| {
            let standing = fits(member, ask).then(|| member.standing(now));
            let admission = standing.flatten().map(|standing| standing.admission);
            admission.is_some_and(|admission| !matches!(admission, Admission::Out(_)))
        })
    }

    /// Chooses a worker and takes leave to ask it.
    pub fn pick(
        &self,
        ask: &Ask<'_>,
        balancer: &Balancer,
        now: Instant,
        rng: &mut Rng,
    ) -> Found<'_> {
        let index = balancer.index.as_ref();
        let mut search = Search {
            ask,
            config: &balancer.config,
            seen: index.map(|index| index.find(ask)).unwrap_or_default(),
            shuns: !ask.lost.is_empty(),
            turn: self.turn.fetch_add(1, Ordering::Relaxed),
            now,
            rng,
            soonest: None,
        };
        for _ in 0..TRIES {
            let mut chosen = self.choose(&mut search);
            if chosen.is_none() && std::mem::take(&mut search.shuns) {
                chosen = self.choose(&mut search);
            }
            let Some(member) = chosen else {
                break;
            };
            match member.engine.health.admit(now) {
                Ok(pass) => {
                    if let Some(index) = index {
                        index.note(ask, member.connection.number);
                    }
                    return Found::Member(member, pass);
                }
                Err(after) => search.out(after),
            }
        }
        search.soonest.map_or(Found::Nobody, Found::Out)
    }

    /// Whether a worker that fits and may be asked is known to have a free slot.
    pub fn has_room(&self, ask: &Ask<'_>, now: Instant) -> bool {
        self.with_room(now, |member| fits(member, ask)).is_some()
    }

    fn with_room(&self, now: Instant, fits: impl Fn(&Member) -> bool) -> Option<&Member> {
        let turn = self.turn.load(Ordering::Relaxed);
        let members = [&self.near, &self.far].into_iter().flat_map(|members| {
            let walk = Walk::in_turn(members.len(), turn).take(LOOKED_AT_FOR_ROOM);
            walk.map(|at| &members[at])
        });
        let mut members = members.filter(|member| member.engine.has_room(now));
        members.find(|member| {
            let standing = fits(member).then(|| member.standing(now));
            standing
                .flatten()
                .is_some_and(|standing| standing.admission == Admission::Free)
        })
    }

    /// One of the own zone while that has room; else the one with less to do of two zones, each
    /// worker by its slots, so that what is too much here spreads by capacity. A worker that would
    /// have it wait is not chosen while another one is known to have a free slot, however new.
    fn choose<'a>(&'a self, search: &mut Search<'_, '_>) -> Option<&'a Member> {
        if !self.far.is_empty() && search.rng.u32(..FAR_PROBES) == 0 {
            let member = &self.far[search.rng.usize(..self.far.len())];
            if let Some(Looked::Due) = search.look(member, 0.0)
                && !member.engine.rests(search.now)
            {
                return Some(member);
            }
        }
        let near = search.among(&self.near);
        let chosen = match near {
            Some((_, load)) if load <= 1.0 => near,
            _ => match (near, search.among(&self.far)) {
                (Some(near), Some(far)) if near.1 <= far.1 => Some(near),
                (near, far) => far.or(near),
            },
        };
        let (member, load) = chosen?;
        if load <= 1.0 || member.engine.has_room(search.now) {
            return Some(member);
        }
        let with_room = self.with_room(search.now, |member| search.fits(member));
        Some(with_room.unwrap_or(member))
    }
}

/// One search for a worker.
struct Search<'a, 'r> {
    ask: &'a Ask<'a>,
    config: &'a BalanceConfig,
    seen: Seen,
    /// Zones of lost workers are left out.
    shuns: bool,
    turn: usize,
    now: Instant,
    rng: &'r mut Rng,
    /// When the first of those that are out may be asked.
    soonest: Option<Duration>,
}

/// What a worker that fits is good for.
enum Looked {
    /// A choice.
    Free(Candidate),
    /// Finding out whether it works again.
    Due,
}

/// Room for what most policies look at, and those that have seen the prompt.
type Few<T> = SmallVec<[T; 20]>;

impl Search<'_, '_> {
    /// The chosen one of `members`, and its load.
    fn among<'a>(&mut self, members: &'a [Member]) -> Option<(&'a Member, f64)> {
        let mut looked_at = Few::<usize>::new();
        let mut candidates = Few::<Candidate>::new();
        for (number, share) in std::mem::take(&mut self.seen) {
            let known = members.binary_search_by_key(&number, |member| member.connection.number);
            if let Ok(at) = known
                && let Some(Looked::Free(candidate)) = self.look(&members[at], share)
            {
                looked_at.push(at);
                candidates.push(candidate);
            }
        }
        let enough = candidates.len() + self.config.policy.looks_at();
        let mut refuses = None;
        for at in self.walk(members.len()) {
            if looked_at.contains(&at) {
                continue;
            }
            match self.look(&members[at], 0.0) {
                // One that answers and has enough to do is found out later: else it would get,
                // and refuse, every request that comes.
                Some(Looked::Due) if members[at].engine.rests(self.now) => {
                    refuses = Some((&members[at], f64::INFINITY));
                }
                Some(Looked::Due) => return Some((&members[at], 0.0)),
                Some(Looked::Free(candidate)) => {
                    looked_at.push(at);
                    candidates.push(candidate);
                    if candidates.len() >= enough {
                        break;
                    }
                }
                None => {}
            }
        }
        match self.config.policy.choose(&candidates, self.rng) {
            Some(chosen) => Some((&members[looked_at[chosen]], candidates[chosen].load)),
            None => refuses,
        }
    }

    fn walk(&mut self, length: usize) -> Walk {
        let policy = self.config.policy;
        // Where all are looked at, equals take turns.
        if policy.takes_turns() || length <= policy.looks_at() {
            Walk::in_turn(length, self.turn)
        } else {
            Walk::at_random(length, self.rng)
        }
    }

    fn look(&mut self, member: &Member, seen: f64) -> Option<Looked> {
        if !self.fits(member) {
            return None;
        }
        let standing = member.standing(self.now)?;
        match standing.admission {
            Admission::Free => {
                let slow_start = self.config.slow_start;
                let engine = &member.engine;
                let candidate = engine.candidate(self.now, standing.since, slow_start, seen);
                Some(Looked::Free(candidate))
            }
            Admission::Probe => Some(Looked::Due),
            Admission::Out(after) => {
                self.out(after);
                None
            }
        }
    }

    fn fits(&self, member: &Member) -> bool {
        let mut lost = self.ask.lost.iter();
        fits(member, self.ask)
            && !(self.shuns && lost.any(|lost| lost.is_beside(&member.connection)))
    }

    fn out(&mut self, after: Duration) {
        self.soonest = Some(self.soonest.map_or(after, |soonest| soonest.min(after)));
    }
}

fn fits(member: &Member, ask: &Ask<'_>) -> bool {
    let tried = ask.tried.iter();
    let mut tried = tried.map(|tried| tried.number);
    !tried.any(|tried| tried == member.connection.number)
        && ask
            .like
            .is_none_or(|like| *like == *member.engine.deployment)
}

//! Which workers have seen a beginning lately.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::mem;
use std::sync::{Mutex, PoisonError};

use rapidhash::fast::RandomState;
use smallvec::SmallVec;

use crate::place::Ask;

/// Workers that are remembered for one beginning, the last one first.
const HOLDERS: usize = 4;

/// So that picks seldom wait for one another.
const SHARDS: usize = 8;

/// The number of a connection.
type Number = u32;

/// What an entry takes: key, workers, and the table's own byte.
const ENTRY_BYTES: usize = mem::size_of::<(u64, Holders)>() + 1;

/// Which workers have seen a beginning lately, within a number of bytes. Tenants know nothing of
/// each other's beginnings.
pub(crate) struct Index {
    hasher: RandomState,
    shards: [Mutex<Generations>; SHARDS],
}

/// Workers that have seen a part of a prompt, and how much of it.
pub(crate) type Seen = SmallVec<[(Number, f64); HOLDERS]>;

impl Index {
    /// Takes at most about `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::new(Generations::new(bytes / SHARDS))),
        }
    }

    /// Who has seen the longest known beginning of the prompt.
    pub fn find(&self, ask: &Ask<'_>) -> Seen {
        let Some((salt, shard)) = self.shard(ask) else {
            return Seen::new();
        };
        let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        // A beginning is noted together with all shorter ones.
        let known = ask
            .prefixes
            .partition_point(|prefix| shard.get(prefix ^ salt).is_some());
        let Some(longest) = known.checked_sub(1) else {
            return Seen::new();
        };
        let share = known as f64 / ask.prefixes.len() as f64;
        let holders = shard
            .get(ask.prefixes[longest] ^ salt)
            .into_iter()
            .flatten();
        holders
            .filter(|&holder| holder != NOBODY)
            .map(|holder| (holder, share))
            .collect()
    }

    /// Notes that a worker sees this prompt.
    pub fn note(&self, ask: &Ask<'_>, holder: Number) {
        let Some((salt, shard)) = self.shard(ask) else {
            return;
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        for prefix in ask.prefixes {
            shard.note(prefix ^ salt, holder);
        }
    }

    fn shard(&self, ask: &Ask<'_>) -> Option<(u64, &Mutex<Generations>)> {
        let first = ask.prefixes.first()?;
        let salt = self.hasher.hash_one((ask.tenant, ask.target));
        let shard = &self.shards[((first ^ salt) % SHARDS as u64) as usize];
        Some((salt, shard))
    }
}

type Holders = [Number; HOLDERS];

const NOBODY: Number = Number::MAX;

/// Two tables: what is used moves to the young one, and when that is full the old one goes. So
/// what goes was not used for long, at no cost of keeping an order.
struct Generations {
    young: HashMap<u64, Holders, RandomState>,
    old: HashMap<u64, Holders, RandomState>,
    most: usize,
}

impl Generations {
    fn new(bytes: usize) -> Self {
        // A table has a power of two of places, of which it fills seven eighths.
        let places = bytes / 2 / ENTRY_BYTES;
        let places = places.checked_ilog2().map_or(0, |power| 1 << power);
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            most: places / 8 * 7,
        }
    }

    fn get(&self, key: u64) -> Option<Holders> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    fn note(&mut self, key: u64, holder: Number) {
        if let Some(holders) = self.young.get_mut(&key) {
            put_first(holders, holder);
            return;
        }
        if self.most == 0 {
            return;
        }
        if self.young.len() >= self.most {
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        let mut holders = self.old.get(&key).copied().unwrap_or([NOBODY; HOLDERS]);
        put_first(&mut holders, holder);
        self.young.insert(key, holders);
    }
}

fn put_first(holders: &mut Holders, holder: Number) {
    let known = holders.iter().position(|&known| known == holder);
    let end = known.unwrap_or(HOLDERS - 1);
    holders[..=end].rotate_right(1);
    holders[0] = holder;
}

#[cfg(test)]
mod tests {
    use fathom_proto::id::{ModelId, TenantId};

    use super::*;

    fn ask<'a>(target: &'a ModelId, tenant: &'a TenantId, prefixes: &'a [u64]) -> Ask<'a> {
        Ask {
            target,
            tenant,
            prefixes,
            tried: &[],
            lost: &[],
            like: None,
        }
    }

    #[test]
    fn the_longest_known_beginning_counts_for_its_tenant_alone() {
        let index = Index::new(1 << 20);
        let (chat, acme, other) = ("chat".into(), "acme".into(), "other".into());
        index.note(&ask(&chat, &acme, &[1, 2, 3]), 7);
        index.note(&ask(&chat, &acme, &[1, 4]), 8);
        assert_eq!(
            index.find(&ask(&chat, &acme, &[1, 2, 5, 6]))[..],
            [(7, 0.5)]
        );
        let both = index.find(&ask(&chat, &acme, &[1]));
        assert_eq!(both[..], [(8, 1.0), (7, 1.0)]);
        assert!(index.find(&ask(&chat, &other, &[1, 2, 3])).is_empty());
        assert!(index.find(&ask(&"code".into(), &acme, &[1])).is_empty());
        assert!(index.find(&ask(&chat, &acme, &[])).is_empty());
    }

    #[test]
    fn it_never_holds_more_than_its_bytes() {
        let bytes = 1 << 16;
        let mut generations = Generations::new(bytes);
        for key in 0..100_000 {
            generations.note(key, 1);
            // What is used stays.
            generations.note(0, 1);
        }
        let places = |table: &HashMap<u64, Holders, RandomState>| {
            (table.capacity() * 8).div_ceil(7).next_power_of_two()
        };
        let taken = (places(&generations.young) + places(&generations.old)) * ENTRY_BYTES;
        assert!(taken <= bytes, "{taken}");
        assert!(taken > bytes / 4, "{taken}");
        assert!(generations.get(0).is_some() && generations.get(99_999).is_some());
        assert!(generations.get(50).is_none());
        let mut none = Generations::new(0);
        none.note(1, 1);
        assert!(none.get(1).is_none());
    }

    #[test]
    fn the_last_workers_are_remembered() {
        let mut generations = Generations::new(1 << 16);
        for holder in [1, 2, 3, 1, 4, 5] {
            generations.note(9, holder);
        }
        assert_eq!(generations.get(9), Some([5, 4, 1, 3]));
    }
}

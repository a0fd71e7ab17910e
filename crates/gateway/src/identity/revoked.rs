//! The access tokens that are over before their time.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fathom_token::times;

/// More than an attacker revokes in a token's lifetime, and still a few megabytes.
const MAX_TOKENS: usize = 100_000;

/// Revoked tokens by `jti`, as far as auth has told. While the set is not known to be whole, a
/// token that is not in it may still be revoked.
pub struct Revoked(RwLock<Set>);

struct Set {
    /// When each would have ended, in seconds since the epoch.
    tokens: HashMap<String, i64>,
    /// Whether auth has told all.
    told: bool,
    /// When the last token that found no place is over.
    whole_from: i64,
    capacity: usize,
}

/// Whether a token is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is not.
    Good,
    /// It is.
    Revoked,
    /// Auth must be asked.
    Unknown,
}

impl Default for Revoked {
    fn default() -> Self {
        Self::with_capacity(MAX_TOKENS)
    }
}

impl Revoked {
    fn with_capacity(capacity: usize) -> Self {
        Self(RwLock::new(Set {
            tokens: HashMap::new(),
            told: false,
            whole_from: i64::MIN,
            capacity,
        }))
    }

    /// How a token stands at `now`, in seconds since the epoch.
    pub fn standing(&self, id: &str, now: i64) -> Standing {
        let set = self.read();
        if set.tokens.contains_key(id) {
            Standing::Revoked
        } else if set.told && times::over(set.whole_from, now) {
            Standing::Good
        } else {
            Standing::Unknown
        }
    }

    /// Whether a token is known to be revoked.
    pub fn contains(&self, id: &str) -> bool {
        self.read().tokens.contains_key(id)
    }

    /// A token is revoked. When the set is full, the ones that are over by themselves leave it.
    pub fn insert(&self, id: String, expires_at: i64, now: i64) {
        let mut set = self.write();
        if set.tokens.len() >= set.capacity {
            set.tokens.retain(|_, end| !times::over(*end, now));
        }
        if set.tokens.len() < set.capacity {
            set.tokens.insert(id, expires_at);
        } else {
            set.whole_from = set.whole_from.max(expires_at);
            tracing::warn!(
                capacity = set.capacity,
                "too many revoked tokens; new tokens are asked at auth until they are over"
            );
        }
    }

    /// Auth has told all there is, up to now.
    pub fn told(&self) {
        if !self.read().told {
            self.write().told = true;
        }
    }

    /// Auth begins anew.
    pub fn clear(&self) {
        let mut set = self.write();
        set.tokens.clear();
        set.told = false;
        set.whole_from = i64::MIN;
    }

    fn read(&self) -> RwLockReadGuard<'_, Set> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Set> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_all_is_told_nothing_is_known_to_be_good() {
        let revoked = Revoked::default();
        revoked.insert("a".into(), 100, 0);
        assert_eq!(revoked.standing("a", 0), Standing::Revoked);
        assert_eq!(revoked.standing("b", 0), Standing::Unknown);
        revoked.told();
        assert_eq!(revoked.standing("b", 0), Standing::Good);
        revoked.clear();
        assert_eq!(revoked.standing("b", 0), Standing::Unknown);
    }

    #[test]
    fn a_full_set_lets_go_of_what_is_over_and_else_says_that_it_does_not_know() {
        let revoked = Revoked::with_capacity(2);
        revoked.told();
        revoked.insert("a".into(), 100, 0);
        revoked.insert("b".into(), 1_000, 0);
        revoked.insert("c".into(), 1_000, 100 + times::SKEW);
        assert_eq!(revoked.standing("c", 200), Standing::Revoked);
        assert_eq!(revoked.standing("a", 200), Standing::Good);
        revoked.insert("d".into(), 2_000, 200);
        assert_eq!(revoked.standing("d", 200), Standing::Unknown);
        assert_eq!(revoked.standing("b", 200), Standing::Revoked);
        let over = 2_000 + times::SKEW;
        assert_eq!(revoked.standing("e", over - 1), Standing::Unknown);
        assert_eq!(revoked.standing("e", over), Standing::Good);
    }
}

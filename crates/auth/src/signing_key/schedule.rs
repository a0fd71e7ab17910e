//! Which key signs and which verify, as a function of the rows and the clock.

use fathom_proto::administration::SigningKeyState;
use fathom_token::{SigningAlgorithm, times};

/// The life of a key. Times are in seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub kid: String,
    pub algorithm: SigningAlgorithm,
    pub created_at: i64,
    /// When it begins to sign; until then verifiers learn of it.
    pub signs_from: i64,
    pub retired_at: Option<i64>,
}

impl Life {
    /// Whether it signs or has signed by `now`.
    fn has_begun(&self, now: i64) -> bool {
        self.signs_from <= now && self.retired_at.is_none_or(|end| end > self.signs_from)
    }

    /// Keys in the order in which they begin.
    fn order(&self) -> (i64, i64, &str) {
        (self.signs_from, self.created_at, &self.kid)
    }
}

/// How keys follow one another, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub algorithm: SigningAlgorithm,
    /// How long a key signs; `None`: until an operator replaces it.
    pub lifetime: Option<i64>,
    /// From publishing to signing.
    pub publication: i64,
    /// How long a token lives.
    pub token_lifetime: i64,
}

/// The keys at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule<'a> {
    pub policy: Policy,
    pub keys: &'a [Life],
    pub now: i64,
}

impl<'a> Schedule<'a> {
    /// The key that signs: of the configured algorithm the last to begin, or of any algorithm
    /// while none of that has begun.
    pub(crate) fn signing(&self) -> Option<&'a Life> {
        let begun = || self.live().filter(|key| key.has_begun(self.now));
        let last = |of_ours: bool| {
            begun()
                .filter(|key| !of_ours || key.algorithm == self.policy.algorithm)
                .max_by_key(|key| key.order())
        };
        last(true).or_else(|| last(false))
    }

    pub(crate) fn state(&self, key: &Life) -> SigningKeyState {
        if key.retired_at.is_some() {
            SigningKeyState::Retired
        } else if self.signing().is_some_and(|signing| signing.kid == key.kid) {
            SigningKeyState::Signing
        } else if key.has_begun(self.now) {
            SigningKeyState::Verifying
        } else {
            SigningKeyState::Published
        }
    }

    /// When a key that is to be made now begins to sign; `None` if none is to be made. The first
    /// key signs at once, since there is no other and nobody who knows it yet.
    pub(crate) fn next(&self) -> Option<i64> {
        if self.signing().is_none() {
            return Some(self.now);
        }
        let ours = self
            .live()
            .filter(|key| key.algorithm == self.policy.algorithm);
        let due = match (ours.max_by_key(|key| key.order()), self.policy.lifetime) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(newest), Some(lifetime)) => {
                let end = newest.signs_from.saturating_add(lifetime);
                newest.has_begun(self.now) && end - self.policy.publication <= self.now
            }
        };
        due.then(|| self.now.saturating_add(self.policy.publication))
    }

    /// The published key that is to sign next.
    pub(crate) fn published(&self) -> Option<&'a Life> {
        self.live()
            .filter(|key| key.signs_from > self.now)
            .min_by_key(|key| (key.algorithm != self.policy.algorithm, key.order()))
    }

    /// The keys whose last tokens have ended, whatever the clocks.
    pub(crate) fn over(&self) -> impl Iterator<Item = &'a Life> {
        let schedule = *self;
        self.live().filter(move |key| {
            schedule.state(key) == SigningKeyState::Verifying
                && schedule
                    .verifies_until(key)
                    .is_some_and(|end| end <= schedule.now)
        })
    }

    /// When the last token of a replaced key ends: one that was signed as its successor began, by
    /// the clock that is furthest behind, read by another such.
    fn verifies_until(&self, key: &Life) -> Option<i64> {
        let successors = self
            .keys
            .iter()
            .filter(|other| other.has_begun(self.now) && other.order() > key.order());
        let replaced = successors.map(|other| other.signs_from).min()?;
        Some(replaced.saturating_add(self.policy.token_lifetime + 2 * times::SKEW))
    }

    fn live(&self) -> impl Iterator<Item = &'a Life> {
        self.keys.iter().filter(|key| key.retired_at.is_none())
    }
}

#[cfg(test)]
mod tests;

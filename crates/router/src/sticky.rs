//! Which users a share of all is: the same ones each time, at every router.

use fathom_proto::id::{TenantId, UserId};

/// Users are told apart by so many.
const PARTS: u64 = 10_000;

/// Whether a user is in the first `percent` of 100. One that is stays so when it becomes more.
/// The salt makes the shares of two things independent of one another.
pub(crate) fn is_in(percent: u32, salt: (&str, u32), tenant: &TenantId, user: &UserId) -> bool {
    let mut hash = Fnv::new();
    for text in [salt.0, tenant.as_str(), user.as_str()] {
        hash.write(text.as_bytes());
        // No text holds it, so no two rows of texts are alike.
        hash.write(&[0xff]);
    }
    hash.write(&salt.1.to_be_bytes());
    hash.finish() % PARTS < u64::from(percent) * (PARTS / 100)
}

/// FNV-1a of 64 bits, with the last step of `MurmurHash3`. The standard library's hash may differ
/// between two releases, and so between two routers.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    const fn finish(self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ (hash >> 33)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn users(percent: u32, salt: (&str, u32)) -> Vec<usize> {
        let tenant = TenantId::from("acme");
        let is_in = |i: &usize| is_in(percent, salt, &tenant, &format!("user-{i}").as_str().into());
        (0..10_000).filter(is_in).collect()
    }

    #[test]
    fn a_share_has_its_size_and_only_grows() {
        let mut before = Vec::new();
        for percent in [1, 2, 5, 10, 25, 50, 75, 99] {
            let users = users(percent, ("chat", 2));
            let expected = percent as usize * 100;
            let tolerance = 4 * (expected as f64 * (1.0 - expected as f64 / 1e4)).sqrt() as usize;
            assert!(
                users.len().abs_diff(expected) <= tolerance,
                "{percent} %: {}",
                users.len()
            );
            assert!(before.iter().all(|user| users.contains(user)));
            before = users;
        }
    }

    #[test]
    fn shares_of_two_versions_are_independent() {
        let (one, other) = (users(10, ("chat", 2)), users(10, ("chat", 3)));
        let both = one.iter().filter(|user| other.contains(user)).count();
        assert!((50..200).contains(&both), "{both}");
    }

    /// Routers of two releases send a user to the same version.
    #[test]
    fn the_hash_is_the_same_for_ever() {
        let found = users(1, ("chat", 2));
        assert_eq!(found[..5], [1, 205, 428, 550, 610]);
    }

    proptest! {
        #[test]
        fn who_is_in_stays_in(tenant in ".{0,20}", user in ".{0,20}", version in any::<u32>()) {
            let (tenant, user) = (tenant.as_str().into(), user.as_str().into());
            let inside: Vec<bool> = (0..=100)
                .map(|percent| is_in(percent, ("chat", version), &tenant, &user))
                .collect();
            prop_assert!(inside.is_sorted());
            prop_assert!(!inside[0] && inside[100]);
        }
    }
}

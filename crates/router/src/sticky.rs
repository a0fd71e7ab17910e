//! Which users a share of all is: the same ones each time, at every router.

use aws_lc_rs::digest::{Context, SHA256};
use fathom_proto::id::{TenantId, UserId};

/// Users are told apart by so many.
const PARTS: u64 = 10_000;

/// Whether a user is in the first `percent` of 100. One that is stays so when it becomes more.
/// The salt makes the shares of two things independent of one another.
pub(crate) fn is_in(percent: u32, salt: (&str, u32), tenant: &TenantId, user: &UserId) -> bool {
    let number = salt.1.to_string();
    draw(&[salt.0, &number], tenant, user) % PARTS < u64::from(percent) * (PARTS / 100)
}

/// A number that every router, of every version, finds for this user.
pub(crate) fn draw(salt: &[&str], tenant: &TenantId, user: &UserId) -> u64 {
    let mut hash = Context::new(&SHA256);
    // A zero byte is in neither a salt nor the id of a tenant.
    for part in salt.iter().chain([&tenant.as_str()]) {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    hash.update(user.as_str().as_bytes());
    let digest = hash.finish();
    let first = digest.as_ref().iter().take(8);
    first.fold(0, |number, byte| (number << 8) | u64::from(*byte))
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
        assert_eq!(found[..5], [91, 256, 400, 521, 535]);
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

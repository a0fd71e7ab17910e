use fathom_token::SigningAlgorithm::{ES256, EdDSA};

use super::*;

const POLICY: Policy = Policy {
    algorithm: EdDSA,
    lifetime: Some(1_000),
    publication: 100,
    token_lifetime: 50,
};

/// When the last token of a key ends, after its successor began.
const OVERLAP: i64 = 50 + 2 * times::SKEW;

fn key(kid: &str, algorithm: SigningAlgorithm, signs_from: i64, retired_at: Option<i64>) -> Life {
    Life {
        kid: kid.to_owned(),
        algorithm,
        created_at: signs_from - 100,
        signs_from,
        retired_at,
    }
}

fn at(keys: &[Life], now: i64) -> Schedule<'_> {
    Schedule {
        policy: POLICY,
        keys,
        now,
    }
}

/// The state of each key by its first letter, in the order given.
fn states(keys: &[Life], now: i64) -> String {
    let state = |key| match at(keys, now).state(key) {
        SigningKeyState::Published => 'p',
        SigningKeyState::Signing => 's',
        SigningKeyState::Verifying => 'v',
        SigningKeyState::Retired => 'r',
    };
    keys.iter().map(state).collect()
}

fn over(keys: &[Life], now: i64) -> Vec<&str> {
    at(keys, now).over().map(|key| key.kid.as_str()).collect()
}

/// Part of SEC-11: publish, wait, sign, retire.
#[test]
fn a_key_is_published_signs_verifies_and_is_over() {
    let keys = [key("a", EdDSA, 0, None), key("b", EdDSA, 1_000, None)];
    assert_eq!(states(&keys, 0), "sp");
    assert_eq!(states(&keys, 999), "sp");
    assert_eq!(states(&keys, 1_000), "vs");
    assert!(over(&keys, 999 + OVERLAP).is_empty());
    assert_eq!(over(&keys, 1_000 + OVERLAP), ["a"]);
    assert!(
        over(&keys[1..], i64::MAX).is_empty(),
        "the one that signs is never over"
    );
    let retired = [
        key("a", EdDSA, 0, Some(2_000)),
        key("b", EdDSA, 1_000, None),
    ];
    assert_eq!(states(&retired, 2_000), "rs");
    assert!(over(&retired, 9_000).is_empty());
}

#[test]
fn the_first_key_signs_at_once_and_others_wait_for_the_verifiers() {
    assert_eq!(at(&[], 7).next(), Some(7));
    let retired = [key("a", EdDSA, 0, Some(5))];
    assert_eq!(at(&retired, 7).next(), Some(7));
    let published = [key("a", EdDSA, 50, None)];
    assert_eq!(at(&published, 7).next(), Some(7), "none signs yet");

    let one = [key("a", EdDSA, 0, None)];
    assert_eq!(at(&one, 899).next(), None);
    assert_eq!(at(&one, 900).next(), Some(1_000));
    assert_eq!(at(&one, 5_000).next(), Some(5_100), "late, after a pause");
    let two = [key("a", EdDSA, 0, None), key("b", EdDSA, 1_000, None)];
    assert_eq!(at(&two, 950).next(), None, "one is on its way");
    let unhurried = Schedule {
        policy: Policy {
            lifetime: None,
            ..POLICY
        },
        ..at(&one, i64::MAX)
    };
    assert_eq!(unhurried.next(), None);
}

#[test]
fn a_new_algorithm_takes_over_when_its_key_has_been_published() {
    let old = [key("a", ES256, 0, None)];
    assert_eq!(states(&old, 10), "s", "there is no other");
    assert_eq!(at(&old, 10).next(), Some(110));
    let keys = [key("a", ES256, 0, None), key("b", EdDSA, 110, None)];
    assert_eq!(states(&keys, 109), "sp");
    assert_eq!(states(&keys, 110), "vs");
    assert_eq!(over(&keys, 110 + OVERLAP), ["a"]);

    // A replica that is still configured as before goes on with its key meanwhile.
    let former = Schedule {
        policy: Policy {
            algorithm: ES256,
            ..POLICY
        },
        ..at(&keys, 110 + OVERLAP)
    };
    assert_eq!(former.signing().unwrap().kid, "a");
    assert_eq!(former.over().count(), 0);
}

#[test]
fn a_key_that_never_signed_replaces_none() {
    let keys = [key("a", EdDSA, 0, None), key("b", EdDSA, 1_000, Some(500))];
    assert_eq!(states(&keys, 5_000), "sr");
    assert!(over(&keys, 5_000).is_empty());
}

#[test]
fn the_end_of_a_key_counts_from_its_own_successor() {
    let keys = [
        key("a", EdDSA, 0, None),
        key("b", EdDSA, 1_000, Some(1_500)),
        key("c", EdDSA, 1_500, None),
    ];
    assert_eq!(states(&keys, 1_600), "vrs");
    assert_eq!(over(&keys, 1_600), ["a"], "as soon as 1,000 + the overlap");
}

#[test]
fn the_published_key_of_our_algorithm_is_next() {
    let keys = [
        key("a", EdDSA, 0, None),
        key("x", ES256, 40, None),
        key("c", EdDSA, 60, None),
        key("b", EdDSA, 50, None),
    ];
    assert_eq!(at(&keys, 10).published().unwrap().kid, "b");
    assert_eq!(at(&keys, 55).published().unwrap().kid, "c");
    assert!(at(&keys, 60).published().is_none());
    assert_eq!(at(&keys[..2], 10).published().unwrap().kid, "x");
}

#[test]
fn keys_of_one_second_have_one_order_everywhere() {
    let keys = [key("b", EdDSA, 5, None), key("a", EdDSA, 5, None)];
    let turned = [keys[1].clone(), keys[0].clone()];
    assert_eq!(
        at(&keys, 5).signing().unwrap().kid,
        at(&turned, 5).signing().unwrap().kid
    );
}

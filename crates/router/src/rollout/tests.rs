use fathom_proto::models::Guard;
use proptest::prelude::*;

use super::*;

fn canary(version: u32, percent: u32) -> Canary {
    Canary {
        version,
        percent,
        guard: Guard::default(),
        since: 0,
    }
}

/// Version `stable` answers, and a rollback reaches `previous`.
fn state(stable: u32, previous: &[u32]) -> ModelState {
    ModelState {
        stable: Some(stable),
        previous: previous.to_vec(),
        ..ModelState::default()
    }
}

#[test]
fn a_rollback_of_a_rollback_goes_further_back_and_not_forth() {
    let mut state = state(5, &[4, 3, 2]);
    roll_back(&mut state, None).unwrap();
    assert_eq!(
        (state.stable, &state.previous[..]),
        (Some(4), &[3, 2, 5][..])
    );
    roll_back(&mut state, None).unwrap();
    assert_eq!(
        (state.stable, &state.previous[..]),
        (Some(3), &[2, 5, 4][..])
    );
    roll_back(&mut state, Some(5)).unwrap();
    assert_eq!(
        (state.stable, &state.previous[..]),
        (Some(5), &[4, 3, 2][..])
    );
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    type Step = fn(&mut ModelState) -> Result<(), Error>;
    let fresh = ModelState::default();
    let steps: [Step; 6] = [
        promote,
        abort,
        |state| roll_back(state, None),
        |state| roll_back(state, Some(1)),
        |state| {
            *state = self::state(2, &[1]);
            roll_back(state, Some(2))
        },
        |state| {
            *state = self::state(2, &[1]);
            deploy(state, canary(2, 5))
        },
    ];
    for step in steps {
        let mut state = fresh.clone();
        assert!(matches!(step(&mut state), Err(Error::Conflict(_))));
        assert!(state.canary.is_none());
    }
    let mut running = state(1, &[]);
    deploy(&mut running, canary(2, 5)).unwrap();
    let before = running.clone();
    assert!(deploy(&mut running, canary(3, 5)).is_err());
    assert_eq!(running, before);
}

#[test]
fn more_users_are_no_new_trial() {
    let mut state = state(1, &[]);
    deploy(
        &mut state,
        Canary {
            since: 7,
            ..canary(2, 5)
        },
    )
    .unwrap();
    deploy(
        &mut state,
        Canary {
            since: 9,
            ..canary(2, 50)
        },
    )
    .unwrap();
    assert_eq!(
        state.canary,
        Some(Canary {
            since: 7,
            ..canary(2, 50)
        })
    );
}

proptest! {
    /// Whatever is done, one version at most is tried out, and a rollback reaches exactly the last
    /// three other versions that answered.
    #[test]
    fn a_rollback_reaches_exactly_the_last_three_stable_versions(
        steps in prop::collection::vec((0..4_u8, 1..8_u32), 0..60),
    ) {
        let mut state = state(1, &[]);
        // Every version that answered, the last one last.
        let mut answered = vec![1];
        for (step, number) in steps {
            let before = state.clone();
            let done = match step {
                0 => deploy(&mut state, canary(number, 10)),
                1 => promote(&mut state),
                2 => abort(&mut state),
                _ => roll_back(&mut state, Some(number)),
            };
            if done.is_err() {
                prop_assert_eq!(&state, &before);
                continue;
            }
            if step == 3 {
                prop_assert!(before.previous.contains(&number));
                prop_assert_eq!(state.stable, Some(number));
                // Who is left is reached last, and by name.
                let mut all = [&before.previous[..], &[before.stable.unwrap()]].concat();
                all.retain(|version| *version != number);
                let mut reached = state.previous.clone();
                all.sort_unstable();
                reached.sort_unstable();
                prop_assert_eq!(reached, all);
            }
            if step == 1 {
                answered.push(state.stable.unwrap());
                let mut expected = [&[before.stable.unwrap()], &before.previous[..]].concat();
                expected.retain(|version| Some(*version) != state.stable);
                expected.truncate(3);
                prop_assert_eq!(&state.previous, &expected);
            }
            prop_assert!(state.previous.len() <= 3);
            prop_assert!(!state.previous.contains(&state.stable.unwrap()));
            let canary = state.canary.map(|canary| canary.version);
            prop_assert!(canary.is_none() || canary != state.stable);
            for version in &state.previous {
                prop_assert!(answered.contains(version));
            }
        }
    }

    /// Without rollbacks these are the versions promoted last, the latest first.
    #[test]
    fn promotions_are_remembered_in_their_order(
        versions in prop::collection::vec(2..9_u32, 1..30),
    ) {
        let mut state = state(1, &[]);
        let mut last = vec![1];
        for version in versions {
            if deploy(&mut state, canary(version, 1)).is_ok() {
                promote(&mut state).unwrap();
                last.retain(|other| *other != version);
                last.insert(0, version);
            }
            let reached: Vec<u32> = last.iter().skip(1).take(3).copied().collect();
            prop_assert_eq!(state.stable, last.first().copied());
            prop_assert_eq!(&state.previous, &reached);
        }
    }
}

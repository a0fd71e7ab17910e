use std::collections::HashMap;

use fathom_proto::inference::LogitBias;
use proptest::prelude::*;

use super::*;
use crate::experiments::{GuardRail, Parameters, State, Sums};

fn experiment(salt: &str, weights: &[u32]) -> Experiment {
    let arms = weights.iter().enumerate().map(|(index, &weight)| Arm {
        name: format!("arm-{index}"),
        weight,
        parameters: Parameters {
            // The first arm is as it was without the experiment.
            temperature: (index > 0).then_some(0.1),
            ..Parameters::default()
        },
        version: None,
        stopped_at: None,
        sums: Sums::default(),
    });
    Experiment {
        name: "try".to_owned(),
        model: "m".into(),
        state: State::Running,
        salt: salt.to_owned(),
        guard_rail: GuardRail {
            max_error_increase: 1.0,
            max_score_decrease: 2.0,
        },
        created_at: 0,
        arms: arms.collect(),
    }
}

fn arm(experiment: &Experiment, tenant: &str, user: &str) -> String {
    let arm = experiment.arm_of(&tenant.into(), &user.into(), &Sampling::default());
    arm.unwrap().name.clone()
}

/// Of 10,000 users, which part is in each arm.
fn shares(experiment: &Experiment) -> HashMap<String, f64> {
    let mut shares = HashMap::new();
    for user in 0..10_000 {
        let arm = arm(experiment, "tenant", &format!("user-{user}"));
        *shares.entry(arm).or_default() += 1.0 / 10_000.0;
    }
    shares
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Six standard deviations of a share are 3 % at most.
    #[test]
    fn shares_are_as_the_weights(
        salt in "[0-9a-f]{32}", weights in prop::collection::vec(1_u32..=1000, 2..=8),
    ) {
        let experiment = experiment(&salt, &weights);
        let shares = shares(&experiment);
        let total: u32 = weights.iter().sum();
        for (index, weight) in weights.iter().enumerate() {
            let expected = f64::from(*weight) / f64::from(total);
            let share = shares.get(&format!("arm-{index}")).copied().unwrap_or(0.0);
            prop_assert!((share - expected).abs() < 0.03, "{weights:?}: {shares:?}");
        }
    }

    /// At any router, and whatever came of the experiment so far.
    #[test]
    fn a_user_stays_in_an_arm(
        salt in "[0-9a-f]{32}", weights in prop::collection::vec(1_u32..=1000, 2..=8),
        tenant in "[a-z]{1,8}", user in ".{0,64}", requests in any::<i64>(),
    ) {
        let experiment = experiment(&salt, &weights);
        let mut later = experiment.clone();
        later.arms[0].sums.requests = requests;
        prop_assert_eq!(arm(&experiment, &tenant, &user), arm(&later, &tenant, &user));
    }

    /// The users of the other arms stay where they are.
    #[test]
    fn an_arm_that_is_stopped_gives_its_users_to_the_first(
        salt in "[0-9a-f]{32}", user in ".{0,64}", stopped in 1_usize..4,
    ) {
        let experiment = experiment(&salt, &[1, 2, 3, 4]);
        let mut after = experiment.clone();
        after.arms[stopped].stopped_at = Some(1);
        let before = arm(&experiment, "tenant", &user);
        let expected = match before == format!("arm-{stopped}") {
            true => "arm-0".to_owned(),
            false => before,
        };
        prop_assert_eq!(arm(&after, "tenant", &user), expected);
    }
}

/// Else the users of one experiment's arm would all be in the same arm of the next.
#[test]
fn experiments_draw_their_users_apart_from_one_another() {
    let [one, other] = ["a", "b"].map(|salt| experiment(salt, &[1, 1]));
    let both = (0..10_000)
        .map(|user| format!("user-{user}"))
        .filter(|user| arm(&one, "t", user) == arm(&other, "t", user))
        .count();
    assert!((4_700..5_300).contains(&both), "{both}");
    let tenants = (0..10_000)
        .map(|user| format!("user-{user}"))
        .filter(|user| arm(&one, "t", user) == arm(&one, "u", user))
        .count();
    assert!((4_700..5_300).contains(&tenants), "{tenants}");
}

/// A change of the hash would move the users of experiments that run.
#[test]
fn the_draw_is_the_same_in_every_version() {
    let experiment = experiment("0123456789abcdef", &[1, 1]);
    let draw = draw(&[&experiment.salt], &"acme".into(), &"someone".into());
    assert_eq!(draw, 0x9447_12da_d9d0_851e);
}

/// The first arm sets no temperature, and a request that does is not in it either: its requests
/// would be others than those of the second arm.
#[test]
fn a_request_that_sets_a_parameter_of_some_arm_is_in_none() {
    let experiment = experiment("salt", &[1, 1]);
    let is_in = |asked: &Sampling| {
        let users = (0..20).map(|user| UserId::from(format!("user-{user}")));
        let arms: Vec<bool> = users
            .map(|user| experiment.arm_of(&"t".into(), &user, asked).is_some())
            .collect();
        assert!(arms.iter().all(|it| *it == arms[0]));
        arms[0]
    };
    assert!(is_in(&Sampling::default()));
    assert!(is_in(&Sampling {
        top_p: Some(0.5),
        ..Sampling::default()
    }));
    assert!(!is_in(&Sampling {
        temperature: Some(0.1),
        ..Sampling::default()
    }));
}

#[test]
fn every_parameter_is_told_from_the_others() {
    let all = r#"{"temperature": 1.5, "top_p": 0.5, "top_k": 3, "min_p": 0.1, "seed": 7,
        "frequency_penalty": -1, "presence_penalty": 1, "logit_bias": {"5": -100}}"#;
    let all: serde_json::Map<String, serde_json::Value> = serde_json::from_str(all).unwrap();
    assert_eq!(all.len(), 8);
    let one = |name: &String, value: &serde_json::Value| -> Parameters {
        let object: serde_json::Map<_, _> = [(name.clone(), value.clone())].into_iter().collect();
        serde_json::from_value(object.into()).unwrap()
    };
    for (name, value) in &all {
        let parameters = one(name, value);
        parameters.check().unwrap();
        for (other, value) in &all {
            let asked = Sampling::from(&one(other, value));
            assert_eq!(
                parameters.are_set_by(&asked),
                name == other,
                "{name} {other}"
            );
        }
    }
    let bias = one(&"logit_bias".to_owned(), &all["logit_bias"]);
    let expected = LogitBias {
        token: 5,
        bias: -100.0,
    };
    assert_eq!(Sampling::from(&bias).logit_bias, [expected]);
}

use fastrand::Rng;
use proptest::prelude::*;

use super::*;

const IDLE: Candidate = Candidate {
    load: 0.25,
    slowness: 1.0,
    weight: 4.0,
    warmth: 1.0,
    seen: 0.0,
};

fn loaded(loads: &[f64]) -> Vec<Candidate> {
    let loads = loads.iter();
    loads.map(|&load| Candidate { load, ..IDLE }).collect()
}

#[test]
fn power_of_two_weighs_load_with_slowness() {
    let mut rng = Rng::with_seed(1);
    let mut two = loaded(&[0.5, 0.25]);
    assert_eq!(Policy::PowerOfTwo.choose(&two, &mut rng), Some(1));
    two[1].slowness = 3.0;
    assert_eq!(Policy::PowerOfTwo.choose(&two, &mut rng), Some(0));
    assert_eq!(Policy::LeastLoad.choose(&two, &mut rng), Some(1));
}

#[test]
fn round_robin_takes_the_next_and_passes_the_cold_over() {
    let mut rng = Rng::with_seed(1);
    let mut next = loaded(&[9.0, 0.1]);
    assert_eq!(Policy::RoundRobin.choose(&next, &mut rng), Some(0));
    next[0].warmth = 0.1;
    let first = (0..10_000)
        .filter(|_| Policy::RoundRobin.choose(&next, &mut rng) == Some(0))
        .count();
    assert!((800..1_200).contains(&first), "{first}");
}

#[test]
fn weighted_is_in_proportion() {
    let mut rng = Rng::with_seed(1);
    let mut two = loaded(&[0.0, 0.0]);
    two[0].weight = 1.0;
    two[1].weight = 3.0;
    let second = (0..10_000)
        .filter(|_| Policy::Weighted.choose(&two, &mut rng) == Some(1))
        .count();
    assert!((7_300..7_700).contains(&second), "{second}");
}

#[test]
fn affinity_ends_where_others_have_much_less_to_do() {
    let mut rng = Rng::with_seed(1);
    let mut choose = |load, seen| {
        let mut candidates = loaded(&[load, 0.25]);
        candidates[0].seen = seen;
        Policy::PrefixAffinity.choose(&candidates, &mut rng)
    };
    assert_eq!(choose(0.75, 1.0), Some(0));
    assert_eq!(choose(0.76, 1.0), Some(1));
    assert_eq!(choose(0.5, 0.5), Some(0));
    assert_eq!(choose(0.51, 0.5), Some(1));
    assert_eq!(choose(0.5, 0.0), Some(1));
    let mut full = loaded(&[1.25, 1.25]);
    full[1].seen = 1.0;
    full[1].slowness = 2.0;
    assert_eq!(Policy::PrefixAffinity.choose(&full, &mut rng), Some(0));
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let numbers = (0.0..4.0, 1.0..9.0, 0.1..64.0, 0.1..1.0, 0.0..=1.0);
    numbers.prop_map(|(load, slowness, weight, warmth, seen)| Candidate {
        load,
        slowness,
        weight,
        warmth,
        seen,
    })
}

proptest! {
    #[test]
    fn whoever_may_be_asked_somebody_is(
        candidates in prop::collection::vec(any_candidate(), 0..20),
        seed: u64,
    ) {
        let mut rng = Rng::with_seed(seed);
        for policy in [
            Policy::PowerOfTwo,
            Policy::LeastLoad,
            Policy::RoundRobin,
            Policy::Weighted,
            Policy::PrefixAffinity,
        ] {
            let chosen = policy.choose(&candidates, &mut rng);
            prop_assert_eq!(chosen.is_none(), candidates.is_empty());
            prop_assert!(chosen.is_none_or(|chosen| chosen < candidates.len()));
        }
    }

    /// Whoever has seen the prompt never has more than the bound above the least.
    #[test]
    fn affinity_is_bounded(candidates in prop::collection::vec(any_candidate(), 1..20)) {
        let chosen = prefix_affinity::choose(&candidates).unwrap();
        let best = power_of_two::choose(&candidates).unwrap();
        let least = candidates.iter().map(|candidate| candidate.load).fold(f64::MAX, f64::min);
        let load = candidates[chosen].load;
        prop_assert!(chosen == best || (load <= least + 0.5 && load <= 1.0));
    }
}

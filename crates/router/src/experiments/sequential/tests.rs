//! Simulated experiments that somebody looks at all the time.

use super::*;

const ALPHA: f64 = 0.05;
const RATE: Outcomes = Outcomes {
    half_range: 0.5,
    more_is_better: false,
};
const SCORE: Outcomes = Outcomes {
    half_range: 1.0,
    more_is_better: true,
};

/// Numbers from 0 to below 1 (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) as f64 / 2_f64.powi(64)
    }
}

const NONE: Sample = Sample {
    count: 0.0,
    sum: 0.0,
    squares: 0.0,
};

fn add(sample: &mut Sample, outcome: f64) {
    sample.count += 1.0;
    sample.sum += outcome;
    sample.squares += outcome * outcome;
}

/// The first verdict of somebody who looks after every tenth outcome, and how many outcomes of
/// each arm that took.
fn first_verdict(
    seed: u64,
    outcomes: Outcomes,
    count: u32,
    draw: [&dyn Fn(&mut Random) -> f64; 2],
) -> Option<(Verdict, u32)> {
    let mut random = Random(seed);
    let (mut first, mut arm) = (NONE, NONE);
    for i in 1..=count {
        add(&mut first, draw[0](&mut random));
        add(&mut arm, draw[1](&mut random));
        if i % 10 == 0
            && let Some(effect) = compare(first, arm, outcomes, ALPHA)
            && effect.verdict != Verdict::Undecided
        {
            return Some((effect.verdict, i));
        }
    }
    None
}

fn errors(rate: f64) -> impl Fn(&mut Random) -> f64 {
    move |random| f64::from(random.next() < rate)
}

/// Scores of three steps, as people give them.
fn scores(down: f64, up: f64) -> impl Fn(&mut Random) -> f64 {
    move |random| {
        let place = random.next();
        if place < down {
            -1.0
        } else if place < 1.0 - up {
            0.0
        } else {
            1.0
        }
    }
}

/// Of 500 experiments whose arms are the same, how many ever look different.
fn false_positives(outcomes: Outcomes, draw: &dyn Fn(&mut Random) -> f64) -> usize {
    let verdicts = (1..=500).map(|seed| first_verdict(seed, outcomes, 2000, [draw, draw]));
    verdicts.flatten().count()
}

/// A fixed test at 5 % would be wrong in about half of these.
#[test]
fn looking_all_the_time_finds_no_difference_where_there_is_none() {
    for rate in [0.002, 0.01, 0.05, 0.3] {
        let wrong = false_positives(RATE, &errors(rate));
        println!("error rate {rate}: {wrong} of 500");
        assert!((wrong as f64) < ALPHA * 500.0, "{rate}: {wrong}");
    }
    for (down, up) in [(0.1, 0.6), (0.02, 0.9), (0.3, 0.3)] {
        let wrong = false_positives(SCORE, &scores(down, up));
        println!("scores {down} and {up}: {wrong} of 500");
        assert!((wrong as f64) < ALPHA * 500.0, "{down} {up}: {wrong}");
    }
}

/// What makes this test worth its wider interval.
#[test]
fn a_fixed_test_that_is_looked_at_all_the_time_is_wrong_too_often() {
    let mut wrong = 0;
    for seed in 1..=200 {
        let mut random = Random(seed);
        let (mut first, mut arm) = (NONE, NONE);
        wrong += usize::from((1..=3000).any(|i| {
            add(&mut first, errors(0.3)(&mut random));
            add(&mut arm, errors(0.3)(&mut random));
            let variance = |it: &Sample| it.variance_of_mean(it.mean().unwrap(), 0.5);
            let error = (variance(&first) + variance(&arm)).sqrt();
            let difference = arm.mean().unwrap() - first.mean().unwrap();
            i >= 50 && i % 10 == 0 && difference.abs() > 1.96 * error
        }));
    }
    assert!(wrong > 40, "{wrong} of 200");
}

#[test]
fn a_true_difference_is_found_and_never_taken_for_its_contrary() {
    let mut looks = Vec::new();
    for seed in 1..=100 {
        let (verdict, after) =
            first_verdict(seed, RATE, 20_000, [&errors(0.02), &errors(0.06)]).unwrap();
        assert_eq!(verdict, Verdict::Worse, "seed {seed}");
        looks.push(after);
        let better = [
            &scores(0.2, 0.4) as &dyn Fn(&mut Random) -> f64,
            &scores(0.1, 0.5),
        ];
        let (verdict, _) = first_verdict(seed, SCORE, 20_000, better).unwrap();
        assert_eq!(verdict, Verdict::Better, "seed {seed}");
    }
    looks.sort_unstable();
    println!(
        "4 % more errors are found after {} requests in the median",
        looks[50]
    );
    assert!(looks[50] < 2000, "{looks:?}");
}

/// The interval is what the verdict goes by, so it has to hold the truth at all times too.
#[test]
fn the_interval_holds_the_truth_at_all_times() {
    let mut missed = 0;
    for seed in 1..=500 {
        let mut random = Random(seed);
        let (mut first, mut arm) = (NONE, NONE);
        missed += usize::from((1..=2000).any(|i| {
            add(&mut first, errors(0.10)(&mut random));
            add(&mut arm, errors(0.15)(&mut random));
            let effect = compare(first, arm, RATE, ALPHA).filter(|_| i % 10 == 0);
            effect.is_some_and(|effect| !(effect.low..=effect.high).contains(&0.05))
        }));
    }
    assert!((missed as f64) < ALPHA * 500.0, "{missed} of 500");
}

#[test]
fn a_few_outcomes_say_nothing_and_equal_ones_not_everything() {
    let sample = |count: f64, mean: f64| Sample {
        count,
        sum: count * mean,
        squares: count * mean * mean,
    };
    assert_eq!(
        compare(sample(49.0, 0.0), sample(1e6, 1.0), RATE, ALPHA),
        None
    );
    let none = compare(sample(50.0, 0.0), sample(50.0, 0.0), RATE, ALPHA).unwrap();
    assert_eq!(none.verdict, Verdict::Undecided);
    assert!(none.low < -0.02 && none.high > 0.02, "{none:?}");
}

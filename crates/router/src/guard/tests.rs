use super::*;

const FAST: Duration = Duration::from_millis(100);

/// Numbers that look random, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// True in `percent` of 100.
    fn happens(&mut self, percent: u64) -> bool {
        self.below(10_000) < percent * 100
    }
}

/// Requests until the trial is ended, out of `limit`; stable and canary take turns and fail in so
/// many of 100.
fn ended_after(seed: u64, stable: u64, canary: u64, limit: u32) -> Option<u32> {
    let (watch, guard) = (Watch::default(), Guard::default());
    let mut random = Random(seed);
    (0..limit).find(|turn| {
        for (side, percent) in [(Side::Stable, stable), (Side::Canary, canary)] {
            let failed = random.happens(percent);
            watch.count(side, &guard, Some(failed), (!failed).then_some(FAST));
        }
        turn % 20 == 0 && watch.judge(&guard).is_some()
    })
}

#[test]
fn many_errors_end_a_trial_soon_and_few_later() {
    for seed in 1..20 {
        let soon = ended_after(seed, 1, 40, 1_000).unwrap();
        assert!(soon <= 120, "seed {seed}: {soon}");
        let later = ended_after(seed, 1, 10, 5_000).unwrap();
        assert!(later <= 1_500, "seed {seed}: {later}");
    }
}

#[test]
fn bad_luck_ends_no_trial() {
    for seed in 1..20 {
        for percent in [0, 1, 10, 50] {
            assert_eq!(
                ended_after(seed, percent, percent, 10_000),
                None,
                "seed {seed}"
            );
        }
        assert_eq!(ended_after(seed, 2, 3, 10_000), None, "seed {seed}");
    }
}

/// What is shared by both, such as an upstream that is away, is not the canary's fault.
#[test]
fn an_outage_of_both_ends_no_trial() {
    assert_eq!(ended_after(1, 100, 100, 3_000), None);
}

#[test]
fn nothing_is_said_of_a_few_requests() {
    let (watch, guard) = (Watch::default(), Guard::default());
    for _ in 0..guard.min_requests - 1 {
        watch.count(Side::Canary, &guard, Some(true), None);
        watch.count(Side::Stable, &guard, Some(false), Some(FAST));
    }
    assert_eq!(watch.judge(&guard), None);
    watch.count(Side::Stable, &guard, Some(false), Some(FAST));
    assert_eq!(watch.judge(&guard), None);
    assert!(!watch.is_over());
    watch.count(Side::Canary, &guard, Some(true), None);
    let why = watch.judge(&guard).unwrap();
    assert!(why.contains("100.0 % of 100 against 0.0 % of 100"), "{why}");
    assert!(watch.is_over());
}

/// Callers that go away and requests that are wrong are nobody's errors.
#[test]
fn what_says_nothing_is_not_counted() {
    let (watch, guard) = (Watch::default(), Guard::default());
    for _ in 0..1_000 {
        watch.count(Side::Canary, &guard, None, None);
        watch.count(Side::Stable, &guard, Some(false), None);
    }
    assert_eq!(watch.judge(&guard), None);
}

#[test]
fn a_version_that_goes_bad_after_a_good_day_is_found() {
    let (watch, guard) = (Watch::default(), Guard::default());
    for _ in 0..100_000 {
        watch.count(Side::Stable, &guard, Some(false), None);
        watch.count(Side::Canary, &guard, Some(false), None);
    }
    let found = (0..1_000).find(|_| {
        watch.count(Side::Stable, &guard, Some(false), None);
        watch.count(Side::Canary, &guard, Some(true), None);
        watch.judge(&guard).is_some()
    });
    assert!(found.unwrap() < 300, "{found:?}");
}

/// First tokens of 50 to 150 ms, one in 50 of them three times as long, with what is done to those
/// of the canary; gives the turn at which the trial is ended.
fn slowed(seed: u64, slow: impl Fn(&mut Random, Duration) -> Duration) -> Option<u32> {
    let (watch, guard) = (Watch::default(), Guard::default());
    let mut random = Random(seed);
    (0..5_000).find(|turn| {
        for side in [Side::Stable, Side::Canary] {
            let mut time = Duration::from_millis(50 + random.below(100));
            if random.happens(2) {
                time *= 3;
            }
            if side == Side::Canary {
                time = slow(&mut random, time);
            }
            watch.count(side, &guard, Some(false), Some(time));
        }
        turn % 20 == 0 && watch.judge(&guard).is_some()
    })
}

#[test]
fn slow_first_tokens_end_a_trial_and_those_within_the_bound_do_not() {
    for seed in 1..10 {
        assert_eq!(slowed(seed, |_, time| time), None, "seed {seed}");
        assert_eq!(slowed(seed, |_, time| time * 6 / 5), None, "seed {seed}");
        let all = slowed(seed, |_, time| time * 10).unwrap();
        assert!(all <= 120, "seed {seed}: {all}");
        let some = slowed(seed, |random, time| match random.happens(10) {
            true => time * 20,
            false => time,
        });
        assert!(some.unwrap() <= 1_500, "seed {seed}: {some:?}");
    }
}

use fastrand::Rng;
use proptest::prelude::*;

use super::*;

const SEED: u64 = 0x0005_eed0_fc81;

fn breaker() -> Breaker {
    Breaker::new(BreakerConfig::default())
}

/// Sends `per_second` requests for `length` of which `share` fail; whether it opened, and when.
fn opens(rng: &mut Rng, share: f64, per_second: u32, length: Duration) -> Option<Duration> {
    let mut breaker = breaker();
    let begin = Instant::now();
    let mut since = Duration::ZERO;
    while since < length {
        since += Duration::from_secs(1) / per_second;
        let now = begin + since;
        let pass = breaker.admit(now).unwrap();
        let verdict = match rng.f64() < share {
            true => Verdict::Failure,
            false => Verdict::Success,
        };
        if breaker.settle(pass, verdict, now).is_some() {
            return Some(since);
        }
    }
    None
}

/// CB-1: 10 % and 14 % never open it; more than 15 % do within a window.
#[test]
fn cb_1_the_rate_decides() {
    let mut rng = Rng::with_seed(SEED);
    let window = BreakerConfig::default().window;
    for share in [0.10, 0.14] {
        let opened = opens(&mut rng, share, 5_000, window * 3);
        assert_eq!(opened, None, "{share}, seed {SEED:#x}");
    }
    for (share, per_second) in [(0.16, 5_000), (0.20, 200), (0.50, 20)] {
        let opened = opens(&mut rng, share, per_second, window);
        assert!(opened.is_some(), "{share}, seed {SEED:#x}");
    }
}

/// CB-1: false opens at 10 % are below 1 % over six windows, whatever the volume.
#[test]
fn cb_1_false_opens_are_rare() {
    let mut rng = Rng::with_seed(SEED);
    let length = BreakerConfig::default().window * 6;
    for per_second in [1, 20, 100] {
        let runs = 200;
        let opened = (0..runs)
            .filter(|_| opens(&mut rng, 0.10, per_second, length).is_some())
            .count();
        assert!(
            opened * 100 < runs,
            "{opened} of {runs} opened at {per_second} a second, seed {SEED:#x}"
        );
    }
}

fn broken(breaker: &mut Breaker, now: Instant) -> Duration {
    for _ in 0..100 {
        let pass = breaker.admit(now).unwrap();
        if let Some(Change::Opened(delay)) = breaker.settle(pass, Verdict::Failure, now) {
            return delay;
        }
    }
    panic!("it never opens");
}

#[test]
fn a_worker_with_little_to_do_opens_after_failures_in_a_row() {
    let mut breaker = breaker();
    let now = Instant::now();
    for verdict in [Verdict::Failure, Verdict::Success] {
        for _ in 0..6 {
            let pass = breaker.admit(now).unwrap();
            assert_eq!(breaker.settle(pass, verdict, now), None);
        }
    }
    for failures in 1.. {
        let pass = breaker.admit(now).unwrap();
        if breaker.settle(pass, Verdict::Failure, now).is_some() {
            assert_eq!(failures, 7);
            break;
        }
    }
}

/// CB-2: one probe at a time; each failure doubles the wait, up to the longest; success closes.
#[test]
fn cb_2_probes_find_out_when_a_worker_is_back() {
    let mut breaker = breaker();
    let mut now = Instant::now();
    let mut delay = broken(&mut breaker, now);
    let mut longest = Duration::from_secs(1);
    for _ in 0..10 {
        assert!(longest / 2 <= delay && delay <= longest, "{delay:?}");
        let almost = now + delay - Duration::from_millis(1);
        assert!(matches!(breaker.admission(almost), Admission::Out(_)));
        now += delay;
        assert_eq!(breaker.admission(now), Admission::Probe);
        let probe = breaker.admit(now).unwrap();
        assert!(breaker.admit(now).is_err(), "one probe");
        let failed = breaker.settle(probe, Verdict::Failure, now);
        let Some(Change::Opened(next)) = failed else {
            panic!("{failed:?}");
        };
        delay = next;
        longest = (longest * 2).min(Duration::from_secs(60));
    }
    now += delay;
    let probe = breaker.admit(now).unwrap();
    assert_eq!(
        breaker.settle(probe, Verdict::Success, now),
        Some(Change::Closed)
    );
    assert_eq!(breaker.recovered(), Some(now));
    assert_eq!(breaker.admission(now), Admission::Free);

    let again = broken(&mut breaker, now);
    assert!(again >= Duration::from_secs(30), "it flaps: {again:?}");
    now += again;
    let probe = breaker.admit(now).unwrap();
    breaker.settle(probe, Verdict::Success, now);
    let later = broken(&mut breaker, now + Duration::from_secs(60));
    assert!(later <= Duration::from_secs(1), "{later:?}");
}

#[test]
fn a_probe_that_proves_nothing_leaves_room_for_another() {
    let mut breaker = breaker();
    let mut now = Instant::now();
    now += broken(&mut breaker, now);
    for verdict in [Verdict::Nothing, Verdict::Refusal] {
        let probe = breaker.admit(now).unwrap();
        assert_eq!(breaker.settle(probe, verdict, now), None);
        assert_eq!(breaker.admission(now), Admission::Probe);
    }
}

#[test]
fn a_probe_that_generates_for_a_whole_window_has_proved_it() {
    let mut breaker = breaker();
    let mut now = Instant::now();
    now += broken(&mut breaker, now);
    let probe = breaker.admit(now).unwrap();
    now += Duration::from_secs(60);
    assert!(breaker.admit(now).is_err(), "it has not begun");
    breaker.first_token(probe, now);
    assert!(breaker.admit(now).is_err());
    now += Duration::from_secs(10);
    let pass = breaker.admit(now).unwrap();
    assert!(!pass.probe);
    assert_eq!(breaker.recovered(), Some(now));
}

/// What began before an outage, or ends after another one, says nothing of the present.
#[test]
fn late_outcomes_do_not_count() {
    let mut breaker = breaker();
    let mut now = Instant::now();
    let early: Vec<_> = (0..20).map(|_| breaker.admit(now).unwrap()).collect();
    now += broken(&mut breaker, now);
    let probe = breaker.admit(now).unwrap();
    assert_eq!(breaker.settle(early[0], Verdict::Failure, now), None);
    assert!(breaker.admit(now).is_err(), "the probe still runs");
    breaker.settle(probe, Verdict::Success, now);
    for late in early {
        assert_eq!(breaker.settle(late, Verdict::Failure, now), None);
    }
    assert_eq!(breaker.admission(now), Admission::Free);
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Begin,
    FirstToken(usize),
    End(usize, Verdict),
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![
        4 => Just(Verdict::Failure),
        1 => Just(Verdict::Success),
        1 => Just(Verdict::Refusal),
        1 => Just(Verdict::Nothing),
    ];
    prop_oneof![
        1 => (0u64..20_000).prop_map(Step::Wait),
        4 => Just(Step::Begin),
        1 => any::<usize>().prop_map(Step::FirstToken),
        4 => (any::<usize>(), verdict).prop_map(|(which, verdict)| Step::End(which, verdict)),
    ]
}

proptest! {
    #[test]
    fn invariants_hold_whatever_happens(steps in prop::collection::vec(step(), 1..400)) {
        let mut breaker = breaker();
        let mut now = Instant::now();
        let mut running: Vec<Pass> = Vec::new();
        let (mut period, mut volume, mut in_a_row) = (0, 0, 0);
        for step in steps {
            if period != breaker.period {
                (period, volume, in_a_row) = (breaker.period, 0, 0);
            }
            match step {
                Step::Wait(millis) => now += Duration::from_millis(millis),
                Step::Begin => {
                    let admission = breaker.admission(now);
                    let admitted = breaker.admit(now);
                    prop_assert_eq!(matches!(admission, Admission::Out(_)), admitted.is_err());
                    running.extend(admitted);
                }
                Step::FirstToken(which) if !running.is_empty() => {
                    breaker.first_token(running[which % running.len()], now);
                }
                Step::End(which, verdict) if !running.is_empty() => {
                    let pass = running.swap_remove(which % running.len());
                    if pass.period == period {
                        match verdict {
                            Verdict::Failure => (volume, in_a_row) = (volume + 1, in_a_row + 1),
                            Verdict::Success => (volume, in_a_row) = (volume + 1, 0),
                            Verdict::Refusal | Verdict::Nothing => {}
                        }
                    }
                    if let Some(Change::Opened(delay)) = breaker.settle(pass, verdict, now) {
                        prop_assert!(pass.probe || volume >= 100 || in_a_row >= 7);
                        prop_assert!(delay <= Duration::from_secs(60));
                    }
                }
                Step::FirstToken(_) | Step::End(..) => {}
            }
            let probes = running.iter().filter(|pass| pass.probe && pass.period == breaker.period);
            prop_assert!(probes.count() <= 1);
        }
        // Whatever happened: once everything has ended, it is soon asked again.
        for pass in running {
            breaker.settle(pass, Verdict::Nothing, now);
        }
        prop_assert!(breaker.admit(now + Duration::from_secs(60)).is_ok());
    }
}

//! Whole fleets, simulated on paused time with a seed.

use std::collections::HashMap;

use fathom_proto::ErrorCode;

use super::*;
use crate::Policy;

const SEED: u64 = 0xba1a_4ce5;

/// Slots of each worker.
const SLOTS: u32 = 4;

/// How long an answer takes.
const ANSWER: Duration = Duration::from_secs(2);

const STEP: Duration = Duration::from_millis(20);

/// A fleet, and what it runs.
struct Fleet {
    workers: Workers,
    running: Vec<Running>,
    /// What its workers say of themselves, by the numbers of their connections.
    announced: HashMap<u32, Announcement>,
    said: Instant,
    /// Zones by the numbers of connections.
    zones: HashMap<u32, char>,
    /// What zone `b` does.
    odd: Odd,
    /// Requests that each zone got.
    got: HashMap<char, usize>,
    nobody: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Odd {
    Nothing,
    Refuses,
    BeginsLater(Duration),
}

struct Running {
    place: Option<Place>,
    number: u32,
    zone: char,
    first_token: Option<(Instant, Duration)>,
    ends: Instant,
}

impl Fleet {
    fn new(policy: Policy, own_zone: Option<&str>) -> Self {
        fastrand::seed(SEED);
        let mut config = Config {
            zone: own_zone.map(str::to_owned),
            lease: LEASE,
            ..Config::default()
        };
        config.balance.policy = policy;
        Self {
            workers: Workers::new(&config, Box::new(|_| Ok(Arc::new(Nothing)))),
            running: Vec::new(),
            announced: HashMap::new(),
            said: Instant::now(),
            zones: HashMap::new(),
            odd: Odd::Nothing,
            got: HashMap::new(),
            nobody: 0,
        }
    }

    fn with_zones(mut self, zones: &str, each: u16) -> Self {
        for zone in zones.chars() {
            self.start(zone, each);
        }
        self
    }

    fn start(&mut self, zone: char, workers: u16) {
        for worker in 0..workers {
            let port = u16::try_from(u32::from(zone)).unwrap() * 100 + worker;
            let mut announced = announcement(&format!("{zone}{worker}"), port, 10);
            announced.zone = Some(zone.into());
            announced.models[0].load.slots = SLOTS;
            self.workers.register(announced.clone()).unwrap();
            let number = self.workers.table().next_number() - 1;
            self.announced.insert(number, announced);
            self.zones.insert(number, zone);
        }
    }

    fn stop(&mut self, zone: char, workers: u16) {
        for worker in 0..workers {
            let id = format!("{zone}{worker}");
            self.workers.deregister(&id.as_str().into(), 0);
            self.announced
                .retain(|_, announced| announced.worker.as_str() != id);
        }
    }

    /// Heartbeats, each with what runs at that moment.
    fn say(&mut self) {
        for (number, announced) in &mut self.announced {
            let streams = self
                .running
                .iter()
                .filter(|running| running.number == *number);
            announced.models[0].load.running = u32::try_from(streams.count()).unwrap();
            self.workers.register(announced.clone()).unwrap();
        }
        self.said = Instant::now();
    }

    /// Sends `per_second` requests for `length`; gives the most streams that a zone ran.
    async fn run(&mut self, per_second: u32, length: Duration) -> HashMap<char, usize> {
        let mut most = HashMap::new();
        let mut due = 0.0;
        self.got.clear();
        for _ in 0..length.as_millis() / STEP.as_millis() {
            advance(STEP).await;
            self.end(Instant::now());
            if self.said.elapsed() >= LEASE / 3 {
                self.say();
            }
            due += f64::from(per_second) * STEP.as_secs_f64();
            while due >= 1.0 {
                due -= 1.0;
                self.send(&[]);
            }
            for zone in self.zones.values() {
                let streams = self.running.iter().filter(|running| running.zone == *zone);
                let most = most.entry(*zone).or_default();
                *most = streams.count().max(*most);
            }
        }
        most
    }

    fn send(&mut self, prefixes: &[u64]) -> Option<u32> {
        let (target, tenant) = (chat(), "tenant".into());
        let mut wanted = ask(&target, &tenant, &[]);
        wanted.prefixes = prefixes;
        let Pick::Place(place) = self.workers.pick(&wanted) else {
            self.nobody += 1;
            return None;
        };
        let now = Instant::now();
        let number = place.connection().number;
        let zone = self.zones[&number];
        *self.got.entry(zone).or_default() += 1;
        let mut after = Duration::from_millis(50);
        match self.odd {
            Odd::Refuses if zone == 'b' => {
                place.settle(Outcome::Failed(ErrorCode::Overloaded));
                return Some(number);
            }
            Odd::BeginsLater(later) if zone == 'b' => after += later,
            _ => {}
        }
        self.running.push(Running {
            place: Some(place),
            number,
            zone,
            first_token: Some((now + after, after)),
            ends: now + ANSWER,
        });
        Some(number)
    }

    fn end(&mut self, now: Instant) {
        for running in &mut self.running {
            if let Some((at, after)) = running.first_token
                && at <= now
                && let Some(place) = &running.place
            {
                place.first_token(after);
                running.first_token = None;
            }
            if running.ends <= now
                && let Some(place) = running.place.take()
            {
                place.settle(Outcome::Finished);
            }
        }
        self.running.retain(|running| running.place.is_some());
    }

    fn share(&self, zone: char) -> f64 {
        let got = |zone| self.got.get(&zone).copied().unwrap_or(0) as f64;
        got(zone) / self.got.values().sum::<usize>() as f64
    }
}

/// OVER-6: a zone that refuses at once has nothing to do, and must not get more for that.
#[tokio::test(start_paused = true)]
async fn over_6_a_zone_that_refuses_is_not_favoured() {
    for policy in [
        Policy::PowerOfTwo,
        Policy::LeastLoad,
        Policy::PrefixAffinity,
    ] {
        let mut fleet = Fleet::new(policy, None).with_zones("abc", 4);
        fleet.odd = Odd::Refuses;
        // Half of what the other two can do.
        fleet.run(8, Duration::from_secs(60)).await;
        let share = fleet.share('b');
        assert!(share < 0.15, "{policy:?}: {share}, seed {SEED:#x}");
        fleet.odd = Odd::Nothing;
        fleet.run(8, Duration::from_secs(30)).await;
        fleet.run(8, Duration::from_secs(60)).await;
        let share = fleet.share('b');
        assert!((0.25..0.42).contains(&share), "{policy:?}: {share}");
    }
}

/// ZONE-4: the share of a zone whose first tokens take 200 ms longer falls, and comes back.
#[tokio::test(start_paused = true)]
async fn zone_4_a_slow_zone_gets_less() {
    let mut fleet = Fleet::new(Policy::PowerOfTwo, None).with_zones("abc", 4);
    fleet.run(12, Duration::from_secs(60)).await;
    let even = fleet.share('b');
    assert!((0.25..0.42).contains(&even), "{even}, seed {SEED:#x}");
    fleet.odd = Odd::BeginsLater(Duration::from_millis(200));
    fleet.run(12, Duration::from_secs(60)).await;
    let slow = fleet.share('b');
    assert!(slow < 0.25, "{slow}, seed {SEED:#x}");
    fleet.odd = Odd::Nothing;
    fleet.run(12, Duration::from_secs(30)).await;
    fleet.run(12, Duration::from_secs(60)).await;
    let again = fleet.share('b');
    assert!((0.25..0.42).contains(&again), "{again}, seed {SEED:#x}");
}

/// ZONE-2: whoever lost a worker is not sent to the same zone while there is another one.
#[tokio::test(start_paused = true)]
async fn zone_2_the_zone_of_a_lost_worker_comes_last() {
    let mut fleet = Fleet::new(Policy::PowerOfTwo, Some("b")).with_zones("abc", 2);
    let (target, tenant) = (chat(), "tenant".into());
    let lost = place(&fleet.workers, &[]).unwrap();
    let lost = [lost.connection().clone()];
    assert_eq!(fleet.zones[&lost[0].number], 'b');
    let wanted = Ask {
        tried: &lost,
        lost: &lost,
        ..ask(&target, &tenant, &[])
    };
    for _ in 0..50 {
        let place = placed(fleet.workers.pick(&wanted)).unwrap();
        assert_ne!(fleet.zones[&place.connection().number], 'b');
    }
    fleet.stop('a', 2);
    fleet.stop('c', 2);
    let place = placed(fleet.workers.pick(&wanted)).unwrap();
    assert_eq!(fleet.zones[&place.connection().number], 'b');
}

/// ZONE-3: a worker that is new gets little, but all that others have no slots for.
#[tokio::test(start_paused = true)]
async fn zone_3_nobody_waits_while_a_new_worker_has_a_slot() {
    let mut fleet = Fleet::new(Policy::PowerOfTwo, None).with_zones("a", 3);
    advance(LEASE * 2).await;
    fleet.say();
    fleet.start('b', 2);
    let mut each: HashMap<u32, u32> = HashMap::new();
    for _ in 0..5 * SLOTS {
        *each.entry(fleet.send(&[]).unwrap()).or_default() += 1;
    }
    assert!(
        each.len() == 5 && each.values().all(|&streams| streams == SLOTS),
        "{each:?}, seed {SEED:#x}"
    );
}

/// The own zone comes first, others get what it has no slots for, and it gets it back.
#[tokio::test(start_paused = true)]
async fn what_the_own_zone_cannot_do_others_do() {
    let mut fleet = Fleet::new(Policy::PowerOfTwo, Some("a")).with_zones("abc", 4);
    let slots = 4 * SLOTS as usize;
    fleet.run(4, Duration::from_secs(30)).await;
    assert!(fleet.share('a') > 0.98, "{}", fleet.share('a'));
    let most = fleet.run(16, Duration::from_secs(60)).await;
    for (zone, most) in most {
        let share = fleet.share(zone);
        let expected = if zone == 'a' { 0.4..0.6 } else { 0.2..0.3 };
        assert!(expected.contains(&share), "{zone}: {share}, seed {SEED:#x}");
        assert!(most as f64 <= 1.2 * slots as f64, "{zone}: {most}");
    }
    fleet.run(4, Duration::from_secs(10)).await;
    fleet.run(4, Duration::from_secs(30)).await;
    assert!(fleet.share('a') > 0.98, "{}", fleet.share('a'));
}

/// ZONE-3: zones go and come back; none gets more than it can do, those that return get their
/// share little by little.
#[tokio::test(start_paused = true)]
async fn zone_3_returning_zones_are_not_flooded() {
    let mut fleet = Fleet::new(Policy::PowerOfTwo, Some("a")).with_zones("abc", 4);
    let slots = 4.0 * f64::from(SLOTS);
    fleet.run(7, Duration::from_secs(30)).await;
    fleet.stop('a', 4);
    fleet.stop('b', 4);
    let most = fleet.run(7, Duration::from_secs(30)).await;
    assert!(
        most.values().all(|&most| most as f64 <= 1.2 * slots),
        "{most:?}"
    );
    fleet.start('a', 4);
    fleet.run(7, Duration::from_secs(2)).await;
    let first = fleet.share('a');
    let most = fleet.run(7, Duration::from_secs(60)).await;
    assert!(
        most.values().all(|&most| most as f64 <= 1.2 * slots),
        "{most:?}"
    );
    fleet.run(7, Duration::from_secs(30)).await;
    let then = fleet.share('a');
    assert!(
        first < 0.35 && then > 0.45,
        "{first} {then}, seed {SEED:#x}"
    );
    assert_eq!(fleet.nobody, 0);
}

#[tokio::test(start_paused = true)]
async fn every_policy_uses_every_worker() {
    for policy in [
        Policy::PowerOfTwo,
        Policy::LeastLoad,
        Policy::RoundRobin,
        Policy::Weighted,
        Policy::PrefixAffinity,
    ] {
        let mut fleet = Fleet::new(policy, None).with_zones("abcdefgh", 4);
        fleet.run(32, Duration::from_secs(60)).await;
        for zone in "abcdefgh".chars() {
            let share = fleet.share(zone);
            assert!((0.08..0.17).contains(&share), "{policy:?}: {share}");
        }
    }
}

/// A prompt that everybody sends at once goes to several workers, each within its slots.
#[tokio::test(start_paused = true)]
async fn a_hot_prefix_overloads_nobody() {
    let mut fleet = Fleet::new(Policy::PrefixAffinity, None).with_zones("ab", 4);
    let mut each: HashMap<u32, u32> = HashMap::new();
    for _ in 0..8 * SLOTS {
        *each.entry(fleet.send(&[1, 2, 3]).unwrap()).or_default() += 1;
    }
    assert_eq!(each.len(), 8, "{each:?}, seed {SEED:#x}");
    assert!(
        each.values().all(|&streams| streams <= SLOTS + 1),
        "{each:?}"
    );
}

/// Conversations go on where they began.
#[tokio::test(start_paused = true)]
async fn the_next_turn_goes_to_the_worker_of_the_last() {
    let mut fleet = Fleet::new(Policy::PrefixAffinity, None).with_zones("ab", 4);
    let mut same = 0;
    let conversations = 200;
    for conversation in 0..conversations {
        let prefixes: Vec<u64> = (0..6).map(|block| conversation * 100 + block).collect();
        let first = fleet.send(&prefixes[..4]);
        advance(ANSWER / 4).await;
        fleet.end(Instant::now());
        same += u64::from(fleet.send(&prefixes) == first);
        advance(ANSWER / 4).await;
        fleet.end(Instant::now());
    }
    assert!(same * 10 >= conversations * 9, "{same}, seed {SEED:#x}");
}

use futures::FutureExt;
use futures::future::BoxFuture;
use proptest::prelude::*;
use tokio::time::advance;

use super::*;

const AGE: Duration = Duration::from_secs(2);

fn line(max_length: usize) -> Line {
    Line::new(QueueConfig {
        max_length,
        max_age: AGE,
    })
}

type Waiting<'a> = BoxFuture<'a, Result<Turn, Shed>>;

/// One more who waits.
fn join(line: &Line) -> Waiting<'_> {
    let ticket = line.enter();
    let mut waiting = async move { line.wait(&ticket, None).await }.boxed();
    assert!(waiting.as_mut().now_or_never().is_none());
    waiting
}

fn has_turn(waiting: &mut Waiting<'_>) -> bool {
    match waiting.as_mut().now_or_never() {
        Some(result) => {
            assert_eq!(result, Ok(Turn::Freed));
            true
        }
        None => false,
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_who_came_is_next_in_a_burst() {
    let line = line(10);
    let (mut first, mut second) = (join(&line), join(&line));
    line.freed();
    assert!(!has_turn(&mut second) && has_turn(&mut first));
    line.freed();
    assert!(has_turn(&mut second));
    assert_eq!(line.len(), 0);
    line.freed();
}

/// OVER-2
#[tokio::test(start_paused = true)]
async fn the_newest_is_next_once_the_line_stays() {
    let line = line(10);
    let mut kept = Vec::new();
    // Somebody always waits, and nobody too long.
    for _ in 0..4 {
        kept.push(join(&line));
        advance(AGE / 4).await;
    }
    let (mut older, mut newer) = (join(&line), join(&line));
    line.freed();
    assert!(has_turn(&mut newer) && !has_turn(&mut older));
    for mut waiting in kept {
        assert_eq!(waiting.as_mut().now_or_never(), Some(Err(Shed::Age)));
    }
    line.freed();
    assert!(has_turn(&mut older));
    // After a moment without anybody, it is a burst again.
    let (mut first, mut second) = (join(&line), join(&line));
    line.freed();
    assert!(has_turn(&mut first) && !has_turn(&mut second));
}

/// OVER-2
#[tokio::test(start_paused = true)]
async fn nobody_has_a_turn_too_late() {
    let line = line(10);
    line.rest(AGE * 10);
    let begun = Instant::now();
    let ticket = line.enter();
    assert_eq!(line.wait(&ticket, None).await, Err(Shed::Age));
    let waited = begun.elapsed();
    assert!(waited <= AGE + Duration::from_millis(1), "{waited:?}");
    let (mut late, mut next) = (join(&line), join(&line));
    advance(AGE + Duration::from_millis(1)).await;
    drop(join(&line));
    // The turn comes before the timers are looked at.
    line.freed();
    assert!(
        late.as_mut()
            .now_or_never()
            .is_some_and(|late| late.is_err())
    );
    assert!(
        next.as_mut()
            .now_or_never()
            .is_some_and(|next| next.is_err())
    );
    assert_eq!(line.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_line_is_only_so_long() {
    let line = line(2);
    let (mut first, mut second, mut third) = (join(&line), join(&line), join(&line));
    assert_eq!(first.as_mut().now_or_never(), Some(Err(Shed::Length)));
    assert_eq!(line.len(), 2);
    line.freed();
    assert!(has_turn(&mut second) && !has_turn(&mut third));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_wait() {
    let line = line(2);
    line.rest(AGE);
    let until = Instant::now() + AGE / 2;
    let ticket = line.enter();
    assert_eq!(line.wait(&ticket, Some(until)).await, Err(Shed::Deadline));
    assert!(Instant::now() < until + Duration::from_millis(2));
}

#[tokio::test(start_paused = true)]
async fn now_and_then_somebody_looks_unless_workers_ask_not_to() {
    let line = line(10);
    let begun = Instant::now();
    let ticket = line.enter();
    assert_eq!(line.wait(&ticket, None).await, Ok(Turn::Probe));
    assert!(begun.elapsed() < PROBE_INTERVAL + Duration::from_millis(2));
    line.rest(AGE / 2);
    assert_eq!(line.wait(&ticket, None).await, Ok(Turn::Probe));
    assert!(begun.elapsed() >= PROBE_INTERVAL + AGE / 2);
}

/// LIFE-2
#[tokio::test(start_paused = true)]
async fn a_turn_of_one_who_left_is_the_next_ones() {
    let line = line(10);
    let (first, mut second, mut third) = (join(&line), join(&line), join(&line));
    line.freed();
    drop(first);
    assert!(has_turn(&mut second) && !has_turn(&mut third));
    drop(third);
    assert_eq!(line.len(), 0);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Join,
    Free,
    Leave(prop::sample::Index),
    Pass(u64),
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Every place that gets free while somebody waits is one turn, and nobody is lost.
    #[test]
    fn turns_are_neither_lost_nor_doubled(
        steps in prop::collection::vec(
            prop_oneof![
                3 => Just(Step::Join),
                2 => Just(Step::Free),
                1 => any::<prop::sample::Index>().prop_map(Step::Leave),
                1 => (0_u64..40).prop_map(Step::Pass),
            ],
            1..60,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let line = line(1_000);
            let mut waiting: Vec<Waiting<'_>> = Vec::new();
            for step in steps {
                match step {
                    Step::Join => waiting.push(join(&line)),
                    Step::Free => {
                        line.freed();
                        let before = waiting.len();
                        waiting.retain_mut(|one| !has_turn(one));
                        prop_assert_eq!(waiting.len(), before.saturating_sub(1));
                    }
                    Step::Leave(_) if waiting.is_empty() => {}
                    Step::Leave(who) => drop(waiting.remove(who.index(waiting.len()))),
                    // Nobody gets old enough to be shed, and nobody looks at the clock.
                    Step::Pass(millis) => advance(Duration::from_micros(millis)).await,
                }
                prop_assert_eq!(line.len(), waiting.len());
            }
            drop(waiting);
            prop_assert_eq!(line.len(), 0);
            Ok(())
        })?;
    }
}

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::*;
use crate::load::LoadCounts;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
type Answer = oneshot::Receiver<std::result::Result<Vec<Vec<f32>>, EmbedError>>;

const LIMIT: Duration = Duration::from_secs(30);
/// A token that the stand-in panics at.
const PANIC: Token = Token(-1);
/// A token that it cannot decode.
const FAIL: Token = Token(-2);

/// Computes two texts a step; the vector of a text is its first token.
#[derive(Default)]
struct StandIn {
    opened: AtomicUsize,
    computed: Mutex<Vec<Token>>,
}

impl Vectorizer for Arc<StandIn> {
    type Context = ();

    fn open(&self) -> std::result::Result<(), LoadError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn fitting(&self, texts: &[Vec<Token>]) -> usize {
        texts.len().min(2)
    }

    fn vectors(
        &self,
        (): &mut (),
        texts: &[Vec<Token>],
    ) -> std::result::Result<Vec<Vec<f32>>, EmbedError> {
        let first = |text: &Vec<Token>| match text[0] {
            PANIC => panic!("as it was told to"),
            FAIL => Err(EmbedError::Decode),
            token => {
                self.computed.lock().unwrap().push(token);
                Ok(vec![token.0 as f32])
            }
        };
        texts.iter().map(first).collect()
    }
}

struct World {
    stand_in: Arc<StandIn>,
    steps: Steps<Arc<StandIn>>,
    load: LoadCounts,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let stand_in = Arc::new(StandIn::default());
        Self {
            steps: Steps::new(stand_in.clone(), (), LIMIT),
            stand_in,
            load: LoadCounts::new(1, 64, 0),
            now: Instant::now(),
        }
    }

    fn submit(&mut self, partition: &str, texts: &[Token]) -> Result<Answer> {
        let (started, _) = oneshot::channel();
        let (answer, vectors) = oneshot::channel();
        self.steps.turns.push(Task {
            partition: partition.into(),
            texts: texts.iter().map(|&token| vec![token]).collect(),
            vectors: Vec::new(),
            submitted: self.now,
            started: Some(started),
            answer,
            seat: self.load.seat().ok_or("busy")?,
        });
        Ok(vectors)
    }

    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            self.steps.step(self.now);
        }
    }

    fn computed(&self) -> Vec<i32> {
        let computed = self.stand_in.computed.lock().unwrap();
        computed.iter().map(|token| token.0).collect()
    }
}

/// A partition with much to do holds no other up for longer than a step.
#[test]
fn partitions_take_turns_with_each_step() -> Result {
    let mut world = World::new();
    let mut long = world.submit("long", &[1, 2, 3, 4, 5].map(Token))?;
    let mut later = world.submit("long", &[6].map(Token))?;
    let mut short = world.submit("short", &[7].map(Token))?;
    world.run(2);
    assert_eq!(world.computed(), [1, 2, 7]);
    assert_eq!(short.try_recv()??, [[7.0]]);
    world.run(3);
    assert_eq!(world.computed(), [1, 2, 7, 3, 4, 5, 6]);
    assert_eq!(long.try_recv()??, [[1.0], [2.0], [3.0], [4.0], [5.0]]);
    assert_eq!(later.try_recv()??, [[6.0]]);
    assert_eq!(world.load.read().waiting, 0);
    Ok(())
}

#[test]
fn a_request_that_fails_or_panics_fails_alone() -> Result {
    let mut world = World::new();
    let mut panics = world.submit("a", &[Token(1), Token(2), PANIC])?;
    let mut fails = world.submit("a", &[FAIL])?;
    let mut fine = world.submit("b", &[Token(3), Token(4), Token(5)])?;
    world.run(5);
    assert!(matches!(panics.try_recv()?, Err(EmbedError::Internal)));
    assert!(matches!(fails.try_recv()?, Err(EmbedError::Decode)));
    assert_eq!(fine.try_recv()??, [[3.0], [4.0], [5.0]]);
    let opened = world.stand_in.opened.load(Ordering::Relaxed);
    assert_eq!(opened, 1, "a context after each failure that work follows");
    Ok(())
}

#[test]
fn who_waits_too_long_is_refused_and_who_had_a_turn_is_not() -> Result {
    let mut world = World::new();
    let mut begun = world.submit("a", &[1, 2, 3].map(Token))?;
    let mut waits = world.submit("a", &[4].map(Token))?;
    world.run(1);
    world.now += LIMIT;
    let mut new = world.submit("a", &[5].map(Token))?;
    world.run(1);
    assert!(matches!(waits.try_recv()?, Err(EmbedError::Expired)));
    assert_eq!(begun.try_recv()??, [[1.0], [2.0], [3.0]]);
    world.run(1);
    assert_eq!(new.try_recv()??, [[5.0]]);
    Ok(())
}

#[test]
fn nothing_is_computed_for_who_is_gone() -> Result {
    let mut world = World::new();
    let begun = world.submit("a", &[1, 2, 3].map(Token))?;
    drop(world.submit("a", &[4].map(Token))?);
    world.run(1);
    drop(begun);
    world.run(2);
    assert_eq!(world.computed(), [1, 2]);
    assert_eq!(world.load.read().waiting, 0);
    assert!(world.steps.turns.is_empty());
    Ok(())
}

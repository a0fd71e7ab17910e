//! Many random jobs leave nothing behind.

use std::hash::{BuildHasher, RandomState};

use fathom_engine::{EngineError, EngineOptions, Generation, Sampling};
use futures::future::join_all;

use crate::harness::{Result, engine, finish, job_of, options, start, weights};

const JOBS: usize = 1000;
/// Jobs that are there at a time.
const TOGETHER: usize = 20;

/// A xorshift generator: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// How a job ends.
#[derive(Default, Debug)]
struct Ends {
    finished: usize,
    cancelled: usize,
}

/// Reads `generation` to its end, or only some events of it.
async fn read(
    mut generation: Generation,
    events: Option<usize>,
) -> std::result::Result<bool, EngineError> {
    let Some(events) = events else {
        finish(generation).await?;
        return Ok(true);
    };
    for _ in 0..events {
        if generation.next().await.transpose()?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Memory of this process that is in use, in KiB.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.ok_or("no VmRSS")?.parse()?)
}

#[tokio::test]
async fn random_jobs_leave_every_slot_free_and_memory_flat() -> Result {
    let _alone = engine().await?;
    let seed = RandomState::new().hash_one(JOBS) | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let engine = start(EngineOptions {
        context_length: 256,
        remembered_tokens: 512,
        ..options()
    })?;
    let words =
        weights()?.tokenize(&"one two three four five six seven eight nine ten ".repeat(20))?;
    let mut ends = Ends::default();
    let mut warm = 0;
    for round in 0..JOBS / TOGETHER {
        if round == JOBS / TOGETHER / 3 {
            warm = resident()?;
        }
        let mut reads = Vec::new();
        for _ in 0..TOGETHER {
            let begin = random.below(3);
            let prompt = words[begin..begin + 1 + random.below(20)].to_vec();
            let mut job = job_of(prompt, 1 + random.below(6) as u32)?;
            job.partition = ["a", "b", "c"][random.below(3)].into();
            if random.below(4) == 0 {
                job.stop = vec![["e", "five", " "][random.below(3)].to_owned()];
            }
            if random.below(4) == 0 {
                job.sampling = Sampling {
                    seed: Some(random.0),
                    ..Sampling::default()
                };
            }
            (job.echo, job.logprobs) = (random.below(8) == 0, (random.below(8) == 0).then_some(2));
            let events = (random.below(3) == 0).then(|| random.below(4));
            reads.push(read(engine.submit(job)?, events));
        }
        for is_finished in join_all(reads).await {
            match is_finished? {
                true => ends.finished += 1,
                false => ends.cancelled += 1,
            }
        }
    }
    assert!(
        ends.finished > JOBS / 2 && ends.cancelled > JOBS / 10,
        "{ends:?}"
    );
    while engine.load().running + engine.load().waiting > 0 {
        tokio::task::yield_now().await;
    }
    let grown = resident()?.saturating_sub(warm);
    assert!(
        grown < 8 * 1024,
        "{grown} KiB more than after a third of the jobs"
    );
    Ok(())
}

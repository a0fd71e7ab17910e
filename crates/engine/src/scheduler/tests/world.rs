//! A stand-in for everything around a scheduler, which checks each plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::*;

/// Runs a scheduler with a KV cache of its own, kept by the plans alone.
pub(super) struct World {
    pub(super) scheduler: Scheduler,
    pub(super) now: Instant,
    pub(super) jobs: BTreeMap<JobId, Work>,
    pub(super) plan: Plan,
    limits: Limits,
    cache: Cache,
    /// The job started last, by partition.
    started: BTreeMap<Arc<str>, JobId>,
}

/// What a job is to do and has done.
pub(super) struct Work {
    partition: Arc<str>,
    tokens: Vec<Token>,
    prompt_tokens: usize,
    to_generate: usize,
    /// The next position whose logits are due.
    due: usize,
}

/// The KV cache as llama.cpp keeps it: cells with the sequences that hold them.
#[derive(Default)]
struct Cache {
    cells: BTreeMap<usize, Cell>,
    sequences: BTreeMap<SequenceId, Vec<usize>>,
    /// Outside of the cells.
    saved: BTreeMap<SavedId, (Vec<Token>, Arc<str>)>,
    next: usize,
}

struct Cell {
    token: Token,
    partition: Arc<str>,
    holders: usize,
}

pub(super) fn limits() -> Limits {
    Limits {
        slots: 2,
        kv_tokens: 512,
        remembered: 512,
        max_wait: Duration::from_secs(30),
        prefill_chunk: 64,
        reuse: true,
    }
}

/// Tokens that no other `seed` begins with.
pub(super) fn text(seed: i32, length: usize) -> Vec<Token> {
    (0..length as i32)
        .map(|position| Token(seed * 10_000 + position))
        .collect()
}

impl World {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            scheduler: Scheduler::new(limits.clone()),
            now: Instant::now(),
            jobs: BTreeMap::new(),
            plan: Plan::default(),
            limits,
            cache: Cache::default(),
            started: BTreeMap::new(),
        }
    }

    pub(super) fn submit(&mut self, partition: &str, prompt: Vec<Token>, generate: usize) -> JobId {
        self.request(partition, prompt, generate, false)
    }

    pub(super) fn request(
        &mut self,
        partition: &str,
        prompt: Vec<Token>,
        to_generate: usize,
        every_logits: bool,
    ) -> JobId {
        let partition: Arc<str> = partition.into();
        let id = self.scheduler.submit(Request {
            partition: Arc::clone(&partition),
            prompt: prompt.clone(),
            every_logits,
            submitted: self.now,
        });
        let work = Work {
            partition,
            prompt_tokens: prompt.len(),
            due: if every_logits { 0 } else { prompt.len() - 1 },
            tokens: prompt,
            to_generate,
        };
        self.jobs.insert(id, work);
        id
    }

    pub(super) fn cancel(&mut self, job: JobId) {
        self.scheduler.end(job);
        self.jobs.remove(&job);
    }

    /// Makes a step, checks its plan and does what it says.
    pub(super) fn step(&mut self) {
        self.scheduler.step(self.now, &mut self.plan);
        for job in &self.plan.expired {
            self.jobs.remove(job);
        }
        for start in &self.plan.started {
            let partition = Arc::clone(&self.jobs[&start.job].partition);
            let before = self.started.insert(partition, start.job);
            assert!(before < Some(start.job), "overtaken within a partition");
        }
        for change in &self.plan.changes {
            self.cache.apply(*change, self.limits.kv_tokens);
        }
        for index in 0..self.plan.rows.len() {
            let row = self.plan.rows[index];
            self.read(row);
        }
        let used = self.cache.cells.len();
        assert_eq!(self.scheduler.kv_used(), used);
        assert!(used <= self.limits.kv_tokens, "more cells than there are");
        assert!(self.scheduler.running() <= self.limits.slots);
        for index in 0..self.plan.rows.len() {
            let row = self.plan.rows[index];
            if row.wants_logits {
                self.follow(row);
            }
        }
    }

    /// Steps until no job is left; how many steps it took.
    pub(super) fn finish(&mut self) -> usize {
        let most = 1000 + 100 * self.jobs.values().map(Work::size).sum::<usize>();
        for steps in 0..most {
            if self.jobs.is_empty() {
                return steps;
            }
            self.step();
            let advances = !self.plan.rows.is_empty() || self.jobs.is_empty();
            assert!(advances, "a step without a token");
        }
        panic!("jobs starve: {:?}", self.jobs.keys());
    }

    /// Tokens of its prompt that `job` got without reading in the last step.
    pub(super) fn cached(&self, job: JobId) -> Option<usize> {
        let start = self.plan.started.iter().find(|start| start.job == job);
        start.map(|start| start.cached_tokens)
    }

    /// Rows of `job` in the last step.
    pub(super) fn rows(&self, job: JobId) -> usize {
        self.plan.rows.iter().filter(|row| row.job == job).count()
    }

    /// Nothing is left of texts that ended but what is saved.
    pub(super) fn assert_nothing_leaks(&mut self) {
        self.step();
        let saved: usize = self.cache.saved.values().map(|(text, _)| text.len()).sum();
        assert_eq!(self.scheduler.memory.saved(), saved);
        assert!(saved <= self.limits.remembered);
        assert_eq!(self.scheduler.kv_used(), 0);
        assert!(self.cache.sequences.values().all(Vec::is_empty));
    }

    fn read(&mut self, row: Row) {
        let work = &self.jobs[&row.job];
        let cells = self.cache.sequences.entry(row.sequence).or_default();
        assert_eq!(cells.len(), row.position, "positions have a gap");
        assert_eq!(work.tokens[row.position], row.token);
        // What is in the sequence is this text and of this partition.
        for (cell, token) in cells.iter().zip(&work.tokens) {
            let cell = &self.cache.cells[cell];
            assert_eq!(cell.token, *token, "another text's sequence");
            assert_eq!(cell.partition, work.partition, "another partition's text");
        }
        let partition = Arc::clone(&work.partition);
        self.cache.push(row.sequence, row.token, partition);
    }

    fn follow(&mut self, row: Row) {
        let Some(work) = self.jobs.get_mut(&row.job) else {
            panic!("logits for a job that ended");
        };
        assert_eq!(row.position, work.due, "told twice or not at all");
        work.due += 1;
        if self.scheduler.token(row.job, row.position + 1).is_some() {
            return;
        }
        if work.tokens.len() == work.prompt_tokens + work.to_generate {
            return self.cancel(row.job);
        }
        let token = Token(-1 - row.position as i32);
        work.tokens.push(token);
        self.scheduler.push(row.job, token);
    }
}

impl Work {
    fn size(&self) -> usize {
        self.prompt_tokens + self.to_generate
    }
}

impl Cache {
    fn push(&mut self, sequence: SequenceId, token: Token, partition: Arc<str>) {
        self.sequences.entry(sequence).or_default().push(self.next);
        let cell = Cell {
            token,
            partition,
            holders: 1,
        };
        self.cells.insert(self.next, cell);
        self.next += 1;
    }

    fn apply(&mut self, change: CacheChange, capacity: usize) {
        match change {
            CacheChange::Save { from, to } => {
                let cells: Vec<_> = self.sequences[&from]
                    .iter()
                    .map(|cell| &self.cells[cell])
                    .collect();
                let partition = Arc::clone(&cells[0].partition);
                let text = cells.iter().map(|cell| cell.token).collect();
                let before = self.saved.insert(to, (text, partition));
                assert!(before.is_none(), "saved twice under one name");
            }
            CacheChange::Restore { from, to, tokens } => {
                let (text, partition) = self.saved[&from].clone();
                let whole = self.cells.len() + text.len();
                assert!(whole <= capacity, "no room before the text is cut");
                let before = self.sequences.get(&to);
                assert!(before.is_none_or(Vec::is_empty), "in use");
                for &token in &text[..tokens] {
                    self.push(to, token, Arc::clone(&partition));
                }
            }
            CacheChange::Forget(id) => {
                assert!(self.saved.remove(&id).is_some(), "forgotten twice");
            }
            CacheChange::Copy { from, to, tokens } => {
                let shared = self.sequences[&from][..tokens].to_vec();
                for cell in &shared {
                    self.cells.get_mut(cell).unwrap().holders += 1;
                }
                let before = self.sequences.insert(to, shared);
                assert!(before.is_none_or(|cells| cells.is_empty()), "in use");
            }
            CacheChange::Remove(sequence) => {
                for cell in self.sequences.remove(&sequence).unwrap_or_default() {
                    let holders = &mut self.cells.get_mut(&cell).unwrap().holders;
                    *holders -= 1;
                    if *holders == 0 {
                        self.cells.remove(&cell);
                    }
                }
            }
        }
    }
}

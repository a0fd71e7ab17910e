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

/// The KV cache as llama.cpp keeps it, and what is saved from it.
#[derive(Default)]
struct Cache {
    sequences: BTreeMap<SequenceId, Vec<Cell>>,
    saved: BTreeMap<SavedId, Vec<Cell>>,
}

#[derive(Clone)]
struct Cell {
    token: Token,
    partition: Arc<str>,
}

pub(super) fn limits() -> Limits {
    Limits {
        slots: 2,
        remembered: 512,
        max_wait: Duration::from_secs(30),
        prefill_chunk: 128,
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
            self.cache.apply(*change);
        }
        for index in 0..self.plan.rows.len() {
            let row = self.plan.rows[index];
            self.read(row);
        }
        let used: usize = self.cache.sequences.values().map(Vec::len).sum();
        assert_eq!(self.scheduler.kv_used(), used);
        assert!(self.scheduler.running() <= self.limits.slots);
        self.assert_neighbours();
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
        let saved: usize = self.cache.saved.values().map(Vec::len).sum();
        assert_eq!(self.scheduler.memory.saved(), saved);
        assert!(saved <= self.limits.remembered);
        assert_eq!(self.scheduler.kv_used(), 0);
        assert!(self.cache.sequences.values().all(Vec::is_empty));
    }

    /// llama.cpp computes tokens together whose sequences follow each other.
    fn assert_neighbours(&self) {
        let texts = self.scheduler.running() as SequenceId;
        let rows = &self.plan.rows;
        assert!(rows.iter().all(|row| row.sequence < texts), "a gap");
        // Of a prompt, the last token comes alone only if it is all that is left.
        let generates = |row: &&Row| {
            row.position + 1 == self.jobs[&row.job].tokens.len()
                && rows.iter().filter(|other| other.job == row.job).count() == 1
        };
        let alone = rows.iter().take_while(generates);
        assert!(alone.map(|row| row.sequence).is_sorted(), "out of order");
    }

    fn read(&mut self, row: Row) {
        let work = &self.jobs[&row.job];
        let cells = self.cache.sequences.entry(row.sequence).or_default();
        assert_eq!(cells.len(), row.position, "positions have a gap");
        assert_eq!(work.tokens[row.position], row.token);
        // What is in the sequence is this text and of this partition.
        for (cell, token) in cells.iter().zip(&work.tokens) {
            assert_eq!(cell.token, *token, "another text's sequence");
            assert_eq!(cell.partition, work.partition, "another partition's text");
        }
        cells.push(Cell {
            token: row.token,
            partition: Arc::clone(&work.partition),
        });
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
    fn apply(&mut self, change: CacheChange) {
        match change {
            CacheChange::Save { from, to } => {
                let before = self.saved.insert(to, self.sequences[&from].clone());
                assert!(before.is_none(), "saved twice under one name");
            }
            CacheChange::Restore { from, to, tokens } => {
                self.fill(to, self.saved[&from][..tokens].to_vec());
            }
            CacheChange::Forget(id) => {
                assert!(self.saved.remove(&id).is_some(), "forgotten twice");
            }
            CacheChange::Copy { from, to, tokens } => {
                self.fill(to, self.sequences[&from][..tokens].to_vec());
            }
            CacheChange::Remove(sequence) => drop(self.sequences.remove(&sequence)),
        }
    }

    fn fill(&mut self, sequence: SequenceId, cells: Vec<Cell>) {
        let before = self.sequences.insert(sequence, cells);
        assert!(before.is_none_or(|cells| cells.is_empty()), "in use");
    }
}

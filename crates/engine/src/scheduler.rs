//! Which jobs run, and what each step reads of them. It knows no model, no
//! channel and no clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::memory::{Memory, Prefix, Source, common};
use self::queue::{Queue, Text};
use self::saved::SHORTEST;
use crate::Token;

mod memory;
mod plan;
mod queue;
mod saved;

pub(crate) use self::plan::{CacheChange, JobId, Plan, Row, SavedId, SequenceId, Start};

/// A beginning that is being read for another job is worth waiting for if it
/// spares at least so many tokens.
const WORTH_WAITING: usize = 32;

/// Decides step by step which jobs run and which of their tokens are read.
///
/// A step reads one token of every text that generates, and a chunk of
/// prompts. Partitions take turns for free slots; within one, jobs start in
/// order of arrival. Texts that ended are remembered until their room is
/// needed: a job of the same partition that begins alike reads only the rest.
pub(crate) struct Scheduler {
    limits: Limits,
    queue: Queue,
    /// In order of admission.
    running: Vec<Running>,
    memory: Memory,
    submitted: u64,
    /// The texts to be filled into the batch; kept for its memory.
    order: Vec<Turn>,
}

/// What a scheduler may use.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Texts that run at a time; at least 1.
    pub(crate) slots: usize,
    /// Most tokens that are remembered of texts that ended.
    pub(crate) remembered: usize,
    /// How long a job may wait for its first slot.
    pub(crate) max_wait: Duration,
    /// Prompt tokens of a step in which nothing generates; at least 1.
    pub(crate) prefill_chunk: usize,
    /// Whether beginnings of texts are used again.
    pub(crate) reuse: bool,
}

/// A job for the scheduler.
pub(crate) struct Request {
    pub(crate) partition: Arc<str>,
    /// With what was generated of its text elsewhere; not empty.
    pub(crate) prompt: Vec<Token>,
    /// Whether it is to be told what may follow every token of the prompt, not
    /// only the last one.
    pub(crate) every_logits: bool,
    /// When it began to wait.
    pub(crate) submitted: Instant,
}

struct Running {
    text: Text,
    sequence: SequenceId,
}

/// A text's turn in a batch. The order is that of the batch: what generates
/// stands by sequence, as llama.cpp wants it, prompts by admission.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Generates(SequenceId, JobId),
    Prompt(usize, JobId),
}

/// Whether the first job of a partition may start.
enum Verdict {
    Start(Option<Prefix>),
    /// Another job reads what it begins with.
    Hold,
}

fn memory(limits: &Limits) -> Memory {
    Memory::new(limits.slots, limits.remembered, limits.reuse)
}

impl Scheduler {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            memory: memory(&limits),
            limits,
            queue: Queue::default(),
            running: Vec::new(),
            submitted: 0,
            order: Vec::new(),
        }
    }

    /// Lets a job wait for its turn.
    pub(crate) fn submit(&mut self, request: Request) -> JobId {
        let id = JobId(self.submitted);
        self.submitted += 1;
        let last = request.prompt.len().saturating_sub(1);
        self.queue.push(Text {
            id,
            partition: request.partition,
            tokens: request.prompt,
            logits_from: if request.every_logits { 0 } else { last },
            submitted: request.submitted,
            paused: false,
        });
        id
    }

    /// Plans the next step. Its batch counts as read from now on.
    pub(crate) fn step(&mut self, now: Instant, plan: &mut Plan) {
        plan.clear();
        self.hold(now);
        self.queue
            .expire(now, self.limits.max_wait, &mut plan.expired);
        while self.running.len() < self.limits.slots && self.admit(plan) {}
        self.close_gaps();
        self.fill(plan);
        for Running { text, sequence } in &mut self.running {
            text.logits_from = text.logits_from.max(self.memory.length(*sequence));
        }
        plan.changes.append(&mut self.memory.changes);
    }

    /// Adds the token that was generated for a job.
    pub(crate) fn push(&mut self, job: JobId, token: Token) {
        if let Some(text) = self.text_mut(job) {
            text.tokens.push(token);
        }
    }

    /// The token at `position` of a running job's text.
    pub(crate) fn token(&self, job: JobId, position: usize) -> Option<Token> {
        let index = self.slot(job)?;
        self.running[index].text.tokens.get(position).copied()
    }

    /// A paused job keeps its slot and is not read.
    pub(crate) fn pause(&mut self, job: JobId, paused: bool) {
        if let Some(text) = self.text_mut(job) {
            text.paused = paused;
        }
    }

    /// Ends a job, wherever it is.
    pub(crate) fn end(&mut self, job: JobId) {
        match self.slot(job) {
            Some(index) => {
                let Running { text, sequence } = self.running.remove(index);
                self.memory.close(sequence, text.partition, text.tokens);
            }
            None => drop(self.queue.remove(job)),
        }
    }

    /// Forgets the running jobs and all that is remembered: the cache is lost.
    pub(crate) fn reset(&mut self) {
        self.running.clear();
        self.memory = memory(&self.limits);
    }

    /// Jobs that have a slot.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// Whether `job` waits for a slot.
    pub(crate) fn is_waiting(&self, job: JobId) -> bool {
        self.queue.iter().any(|text| text.id == job)
    }

    /// Tokens of the KV cache that are taken.
    pub(crate) fn kv_used(&self) -> usize {
        self.memory.used()
    }

    /// Gives a slot to the first job whose turn it is and that may start;
    /// whether there was one.
    fn admit(&mut self, plan: &mut Plan) -> bool {
        let may_start = |(turn, text)| match self.judge(text) {
            Verdict::Start(prefix) => Some((turn, prefix)),
            Verdict::Hold => None,
        };
        let first = self.queue.heads().enumerate().find_map(may_start);
        first.is_some_and(|(turn, prefix)| self.start(turn, prefix, plan))
    }

    /// Jobs that are held wait for their own good, which does not count.
    fn hold(&mut self, now: Instant) {
        let heads = self.queue.heads().enumerate();
        let held = heads.filter(|(_, text)| matches!(self.judge(text), Verdict::Hold));
        let held: Vec<_> = held.map(|(turn, _)| turn).collect();
        for turn in held {
            self.queue.wait_anew(turn, now);
        }
    }

    fn judge(&self, text: &Text) -> Verdict {
        let reusable = self.reusable(text);
        let mut present = self.memory.recall(&text.partition, reusable);
        let mut coming = 0;
        for Running {
            text: other,
            sequence,
        } in self.same_partition(text)
        {
            let shared = common(&other.tokens, reusable);
            let tokens = shared.min(self.memory.length(*sequence));
            if tokens > present.map_or(SHORTEST, |prefix| prefix.tokens) {
                let source = Source::Running(*sequence);
                present = Some(Prefix { source, tokens });
            }
            if !other.paused {
                coming = coming.max(shared);
            }
        }
        let cached = present.map_or(0, |prefix| prefix.tokens);
        if coming >= cached + WORTH_WAITING {
            return Verdict::Hold;
        }
        Verdict::Start(present)
    }

    fn start(&mut self, turn: usize, prefix: Option<Prefix>, plan: &mut Plan) -> bool {
        let Some(sequence) = self.memory.open(prefix) else {
            return false;
        };
        let Some(text) = self.queue.take(turn) else {
            return false;
        };
        plan.started.push(Start {
            job: text.id,
            cached_tokens: prefix.map_or(0, |prefix| prefix.tokens),
        });
        self.running.push(Running { text, sequence });
        true
    }

    /// Leaves no free sequence between those of running texts.
    fn close_gaps(&mut self) {
        while let Some((from, to)) = self.memory.close_gap() {
            let moved = self.running.iter_mut();
            for running in moved.filter(|running| running.sequence == from) {
                running.sequence = to;
            }
        }
    }

    /// Fills the batch: first with the next token of each text that generates,
    /// then with prompts, in order of admission.
    fn fill(&mut self, plan: &mut Plan) {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        let running = self.running.iter().enumerate();
        let ready = running.filter(|(_, running)| !running.text.paused);
        order.extend(
            ready.map(|(place, running)| match self.unread(running) > 1 {
                true => Turn::Prompt(place, running.text.id),
                false => Turn::Generates(running.sequence, running.text.id),
            }),
        );
        order.sort();
        let mut prompts = match order.first() {
            Some(Turn::Generates(..)) => (self.limits.prefill_chunk / 8).max(1),
            _ => self.limits.prefill_chunk,
        };
        for turn in &order {
            match *turn {
                Turn::Generates(_, job) => {
                    self.read(job, 1, plan);
                }
                Turn::Prompt(_, job) => prompts -= self.read(job, prompts, plan),
            }
        }
        self.order = order;
    }

    /// Puts up to `most` unread tokens of a job into the batch; how many.
    fn read(&mut self, job: JobId, most: usize, plan: &mut Plan) -> usize {
        let Some(index) = self.slot(job) else {
            return 0;
        };
        let Running { text, sequence } = &self.running[index];
        let from = self.memory.length(*sequence);
        let tokens = most.min(text.tokens.len() - from);
        self.memory.grow(*sequence, tokens);
        let unread = text.tokens.iter().enumerate().skip(from).take(tokens);
        plan.rows.extend(unread.map(|(position, &token)| Row {
            job,
            sequence: *sequence,
            position,
            token,
            wants_logits: position >= text.logits_from,
        }));
        tokens
    }

    /// The beginning of `text` that need not be read if it is cached.
    fn reusable<'t>(&self, text: &'t Text) -> &'t [Token] {
        match self.limits.reuse {
            true => &text.tokens[..text.logits_from],
            false => &[],
        }
    }

    fn same_partition(&self, text: &Text) -> impl Iterator<Item = &Running> {
        self.running
            .iter()
            .filter(|running| running.text.partition == text.partition)
    }

    fn unread(&self, running: &Running) -> usize {
        running.text.tokens.len() - self.memory.length(running.sequence)
    }

    fn slot(&self, job: JobId) -> Option<usize> {
        self.running
            .iter()
            .position(|running| running.text.id == job)
    }

    fn text_mut(&mut self, job: JobId) -> Option<&mut Text> {
        self.running
            .iter_mut()
            .map(|running| &mut running.text)
            .chain(self.queue.iter_mut())
            .find(|text| text.id == job)
    }
}

#[cfg(test)]
mod tests;

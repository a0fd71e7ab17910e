//! Turns jobs into events, many at a time, and survives their panics.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use crate::generate::{Generator, Next};
use crate::load::{LoadCounts, Seat};
use crate::model::Model;
use crate::outbox::{Halt, Outbox};
use crate::scheduler::{JobId, Plan, Request, Scheduler};
use crate::{EngineError, Event, FinishReason};

/// How long the loop waits for a job before it looks again whether a slow
/// receiver has read.
const RETRY: Duration = Duration::from_millis(5);

/// A job on its way to the decode loop.
pub(crate) struct Task {
    pub(crate) request: Request,
    pub(crate) generator: Generator,
    pub(crate) outbox: Outbox,
    pub(crate) seat: Seat,
}

/// Steps through the jobs: takes new ones, reads a batch, sends what follows.
pub(crate) struct DecodeLoop<M: Model> {
    model: M,
    /// Absent after a failure, until there is something to read again.
    context: Option<M::Context>,
    scheduler: Scheduler,
    /// The jobs that the scheduler knows.
    jobs: BTreeMap<JobId, Active>,
    leaving: Vec<Leaving>,
    load: LoadCounts,
    /// Memory for samplers to work in.
    candidates: LlamaTokenDataArray,
}

/// A job that runs or waits.
struct Active {
    generator: Generator,
    outbox: Outbox,
    seat: Seat,
    /// As the scheduler knows.
    paused: bool,
}

/// A finished job whose receiver has not taken all of its events.
struct Leaving {
    outbox: Outbox,
    finished: Event,
    seat: Seat,
}

impl<M: Model> DecodeLoop<M> {
    pub(crate) fn new(
        model: M,
        context: M::Context,
        scheduler: Scheduler,
        load: LoadCounts,
    ) -> Self {
        Self {
            model,
            context: Some(context),
            scheduler,
            jobs: BTreeMap::new(),
            leaving: Vec::new(),
            load,
            candidates: LlamaTokenDataArray::new(Vec::new(), false),
        }
    }

    /// Works until the sender of `tasks` is gone. Jobs that are not finished by
    /// then end without a last message.
    pub(crate) fn run(mut self, tasks: &Receiver<Task>) {
        let mut plan = Plan::default();
        let mut has_work = false;
        while self.receive(tasks, has_work) {
            has_work = self.cycle(Instant::now(), &mut plan);
        }
    }

    /// Looks after the receivers and makes one step; whether there is more to
    /// do at once.
    fn cycle(&mut self, now: Instant, plan: &mut Plan) -> bool {
        self.attend(now);
        let attempt = AssertUnwindSafe(|| self.step(now, plan));
        let has_work = match catch_unwind(attempt) {
            Ok(Ok(has_read)) => has_read,
            Ok(Err(EngineError::Decode)) => self.fail(|| EngineError::Decode),
            Ok(Err(_)) => self.fail(|| EngineError::Internal),
            Err(_) => {
                tracing::error!("a job panicked in the decode loop");
                self.fail(|| EngineError::Internal)
            }
        };
        self.let_go(now);
        self.publish();
        has_work
    }

    /// Takes the jobs that came, and waits for one if there is nothing to read.
    /// False when none can come any more.
    fn receive(&mut self, tasks: &Receiver<Task>, has_work: bool) -> bool {
        let is_idle = self.jobs.is_empty() && self.leaving.is_empty();
        if !has_work {
            let waited = match is_idle {
                true => tasks.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => tasks.recv_timeout(RETRY),
            };
            match waited {
                Ok(task) => self.submit(task),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        loop {
            match tasks.try_recv() {
                Ok(task) => self.submit(task),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn submit(&mut self, task: Task) {
        if let Some(reason) = task.generator.complete() {
            return self.finish_unread(task, reason);
        }
        let job = self.scheduler.submit(task.request);
        let active = Active {
            generator: task.generator,
            outbox: task.outbox,
            seat: task.seat,
            paused: false,
        };
        self.jobs.insert(job, active);
    }

    /// Ends a job that came with all of its text: it takes no slot.
    fn finish_unread(&mut self, task: Task, reason: FinishReason) {
        let Task {
            mut generator,
            mut outbox,
            seat,
            ..
        } = task;
        generator.start(0, &mut outbox);
        let finished = generator.finish(reason, &mut outbox);
        self.leaving.push(Leaving {
            outbox,
            finished,
            seat,
        });
    }

    /// Ends jobs whose receiver is gone or stalled; pauses those whose receiver
    /// is slow.
    fn attend(&mut self, now: Instant) {
        let mut halted = Vec::new();
        for (&job, active) in &mut self.jobs {
            match active.outbox.flush(now) {
                Ok(is_sent) if is_sent == active.paused => {
                    active.paused = !is_sent;
                    self.scheduler.pause(job, active.paused);
                }
                Ok(_) => {}
                Err(halt) => halted.push((job, halt)),
            }
        }
        for (job, halt) in halted {
            self.end(job, Err(halt));
        }
    }

    /// Makes one step; whether anything was read.
    fn step(&mut self, now: Instant, plan: &mut Plan) -> Result<bool, EngineError> {
        self.scheduler.step(now, plan);
        for &job in &plan.expired {
            self.end(job, Err(EngineError::Expired.into()));
        }
        for start in &plan.started {
            if let Some(active) = self.jobs.get_mut(&start.job) {
                let outbox = &mut active.outbox;
                active.generator.start(start.cached_tokens, outbox);
            }
        }
        self.publish();
        if plan.rows.is_empty() && plan.changes.is_empty() {
            return Ok(false);
        }
        let mut context = match self.context.take() {
            Some(context) => context,
            None => self.model.open().map_err(|error| {
                tracing::error!(%error, "the decode loop has no context");
                EngineError::Internal
            })?,
        };
        self.model.decode(&mut context, plan)?;
        for (index, row) in plan.rows.iter().enumerate() {
            if row.wants_logits {
                let logits = self.model.logits(&context, index);
                self.follow(row.job, row.position, logits);
            }
        }
        self.context = Some(context);
        Ok(!plan.rows.is_empty())
    }

    /// Goes on with a text of which `logits` tell what may follow `position`.
    fn follow(&mut self, job: JobId, position: usize, logits: &[f32]) {
        let Some(active) = self.jobs.get_mut(&job) else {
            return;
        };
        if let Some(token) = self.scheduler.token(job, position + 1) {
            return active.generator.read(&self.model, logits, token);
        }
        let next = active.generator.next(
            &self.model,
            logits,
            &mut self.candidates,
            &mut active.outbox,
        );
        match next {
            Ok(Next::Token(token)) => self.scheduler.push(job, token),
            Ok(Next::Finished(reason)) => self.end(job, Ok(reason)),
            Err(error) => self.end(job, Err(error.into())),
        }
    }

    fn end(&mut self, job: JobId, outcome: Result<FinishReason, Halt>) {
        self.scheduler.end(job);
        let Some(active) = self.jobs.remove(&job) else {
            return;
        };
        let Active {
            generator,
            mut outbox,
            seat,
            ..
        } = active;
        match outcome {
            Ok(reason) => {
                let finished = generator.finish(reason, &mut outbox);
                self.leaving.push(Leaving {
                    outbox,
                    finished,
                    seat,
                });
            }
            Err(halt) => self.close(outbox, seat, Err(halt)),
        }
    }

    /// Closes finished jobs whose events are all sent.
    fn let_go(&mut self, now: Instant) {
        let mut index = 0;
        while let Some(leaving) = self.leaving.get_mut(index) {
            let flushed = leaving.outbox.flush(now);
            if let Ok(false) = flushed {
                index += 1;
                continue;
            }
            let Leaving {
                outbox,
                finished,
                seat,
            } = self.leaving.swap_remove(index);
            self.close(outbox, seat, flushed.map(|_| finished));
        }
    }

    /// Sends a job's last message. Its slot counts as free before that.
    fn close(&self, outbox: Outbox, seat: Seat, outcome: Result<Event, Halt>) {
        drop(seat);
        self.publish();
        outbox.close(outcome);
    }

    /// Ends the jobs that had a slot when a step failed; there is something to
    /// do for those that wait. The cause is logged already.
    fn fail(&mut self, error: impl Fn() -> EngineError) -> bool {
        self.context = None;
        self.scheduler.reset();
        let scheduler = &self.scheduler;
        let failed: Vec<_> = self
            .jobs
            .extract_if(.., |&job, _| !scheduler.is_waiting(job))
            .collect();
        for (_, active) in failed {
            self.close(active.outbox, active.seat, Err(error().into()));
        }
        true
    }

    fn publish(&self) {
        let running = self.scheduler.running() + self.leaving.len();
        self.load.publish(running, self.scheduler.kv_used());
    }
}

#[cfg(test)]
mod tests;

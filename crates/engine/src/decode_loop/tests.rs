use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use futures::FutureExt;

use super::*;
use crate::scheduler::{Limits, Plan};
use crate::{Generation, Job, LoadError, Sampling, Token};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
type Ended = std::result::Result<Event, EngineError>;

/// How long a job may wait, and a full outbox.
const LIMIT: Duration = Duration::from_secs(30);

/// Ends the text.
const END: Token = Token(0);
/// Every other token is followed by this one.
const MORE: Token = Token(1);
/// A prompt with this token makes the model panic.
const PANIC: Token = Token(2);
/// A prompt with this token cannot be decoded.
const FAIL: Token = Token(3);
/// A prompt with this token ends the text.
const SHORT: Token = Token(4);

/// A model whose prompts say what happens.
#[derive(Default, Clone)]
struct Fake {
    opened: Rc<Cell<usize>>,
}

impl Model for Fake {
    type Context = Vec<[f32; 5]>;

    fn open(&self) -> std::result::Result<Self::Context, LoadError> {
        self.opened.set(self.opened.get() + 1);
        Ok(Vec::new())
    }

    fn decode(
        &self,
        context: &mut Self::Context,
        plan: &Plan,
    ) -> std::result::Result<(), EngineError> {
        context.clear();
        for row in &plan.rows {
            let mut logits = [0.0; 5];
            match row.token {
                PANIC => std::panic::resume_unwind(Box::new("a panic without a message")),
                FAIL => return Err(EngineError::Decode),
                SHORT => logits[0] = 1.0,
                _ => logits[1] = 1.0,
            }
            context.push(logits);
        }
        Ok(())
    }

    fn logits<'c>(&self, context: &'c Self::Context, row: usize) -> &'c [f32] {
        &context[row]
    }

    fn vocabulary(&self) -> i32 {
        5
    }

    fn piece(&self, token: Token) -> Vec<u8> {
        vec![b'a' + token.0 as u8]
    }

    fn control_piece(&self, token: Token) -> Vec<u8> {
        self.piece(token)
    }

    fn ends_text(&self, token: Token) -> bool {
        token == END
    }
}

/// A decode loop, a cycle at a time.
struct Cycles {
    decode_loop: DecodeLoop<Fake>,
    model: Fake,
    load: LoadCounts,
    plan: Plan,
    now: Instant,
}

impl Cycles {
    fn new(slots: usize) -> Self {
        let model = Fake::default();
        let load = LoadCounts::new(slots, 64, 256);
        let scheduler = Scheduler::new(Limits {
            slots,
            remembered: 1_000,
            max_wait: LIMIT,
            prefill_chunk: 16,
            reuse: true,
        });
        Self {
            decode_loop: DecodeLoop::new(model.clone(), Vec::new(), scheduler, load.clone()),
            model,
            load,
            plan: Plan::default(),
            now: Instant::now(),
        }
    }

    fn submit(&mut self, prompt: Token, max_tokens: u32) -> Result<Generation> {
        let mut job = Job {
            prompt: vec![prompt],
            generated: Vec::new(),
            partition: "tenant".into(),
            max_tokens,
            sampling: Sampling {
                temperature: 0.0,
                ..Sampling::default()
            },
            stop: Vec::new(),
            logprobs: None,
            echo: false,
            constraint: None,
            visible_controls: Arc::default(),
            held: None,
        };
        let (outbox, generation) = Outbox::open(LIMIT)?;
        let generator = Generator::new(&self.model, &mut job, 256)?;
        let request = Request {
            partition: job.partition,
            prompt: job.prompt,
            every_logits: false,
            submitted: self.now,
        };
        let seat = self.load.seat().ok_or("busy")?;
        self.decode_loop.submit(Task {
            request,
            generator,
            outbox,
            seat,
        });
        Ok(generation)
    }

    fn run(&mut self, cycles: usize) {
        for _ in 0..cycles {
            self.decode_loop.cycle(self.now, &mut self.plan);
        }
    }

    /// Jobs that run, and that wait.
    fn jobs(&self) -> (u32, u32) {
        let load = self.load.read();
        (load.running, load.waiting)
    }
}

/// The last of the events that were sent so far.
fn last(generation: &mut Generation) -> Option<Ended> {
    std::iter::from_fn(|| generation.next().now_or_never().flatten()).last()
}

fn is_finished(generation: &mut Generation) -> bool {
    matches!(last(generation), Some(Ok(Event::Finished { .. })))
}

#[test]
fn jobs_run_together_in_one_context() -> Result {
    let mut cycles = Cycles::new(2);
    let mut one = cycles.submit(MORE, 5)?;
    let mut other = cycles.submit(SHORT, 5)?;
    cycles.run(1);
    assert!(is_finished(&mut other) && !is_finished(&mut one));
    cycles.run(4);
    assert!(is_finished(&mut one));
    assert_eq!(cycles.model.opened.get(), 0);
    assert_eq!(cycles.jobs(), (0, 0));
    Ok(())
}

#[test]
fn a_failure_ends_the_jobs_that_run_and_no_other() -> Result {
    for (prompt, error) in [
        (PANIC, "the decode loop failed"),
        (FAIL, "llama.cpp cannot decode"),
    ] {
        let mut cycles = Cycles::new(2);
        let mut guilty = cycles.submit(prompt, 5)?;
        let mut beside = cycles.submit(MORE, 5)?;
        let mut waiting = cycles.submit(MORE, 5)?;
        cycles.run(1);
        for generation in [&mut guilty, &mut beside] {
            assert!(matches!(last(generation), Some(Err(end)) if end.to_string() == error));
        }
        assert_eq!(cycles.jobs(), (0, 1));
        cycles.run(5);
        assert!(is_finished(&mut waiting));
        assert_eq!(cycles.model.opened.get(), 1);
        assert_eq!(cycles.jobs(), (0, 0));
    }
    Ok(())
}

#[test]
fn a_cancelled_job_is_gone_after_one_cycle() -> Result {
    let mut cycles = Cycles::new(1);
    let running = cycles.submit(MORE, 50)?;
    let waiting = cycles.submit(MORE, 50)?;
    cycles.run(1);
    assert_eq!(cycles.jobs(), (1, 1));
    drop(waiting);
    cycles.run(1);
    assert_eq!(cycles.jobs(), (1, 0));
    drop(running);
    cycles.run(1);
    assert_eq!(cycles.jobs(), (0, 0));
    Ok(())
}

#[test]
fn a_job_that_waits_too_long_is_told() -> Result {
    let mut cycles = Cycles::new(1);
    let _running = cycles.submit(MORE, 50)?;
    let mut waiting = cycles.submit(MORE, 50)?;
    cycles.run(1);
    cycles.now += LIMIT;
    cycles.run(1);
    assert!(matches!(
        last(&mut waiting),
        Some(Err(EngineError::Expired))
    ));
    assert_eq!(cycles.jobs(), (1, 0));
    Ok(())
}

#[test]
fn a_slow_reader_slows_only_itself() -> Result {
    let mut cycles = Cycles::new(2);
    let mut slow = cycles.submit(MORE, 50)?;
    let mut quick = cycles.submit(MORE, 50)?;
    for _ in 0..49 {
        cycles.run(1);
        assert!(last(&mut quick).is_some());
    }
    cycles.run(1);
    assert!(is_finished(&mut quick));
    assert_eq!(cycles.jobs(), (1, 0));
    while cycles.jobs() != (0, 0) {
        assert!(last(&mut slow).is_some());
        cycles.run(1);
    }
    assert!(is_finished(&mut slow));
    Ok(())
}

#[test]
fn a_reader_that_does_not_read_loses_its_job() -> Result {
    let mut cycles = Cycles::new(1);
    let mut stalled = cycles.submit(MORE, 50)?;
    cycles.run(50);
    cycles.now += LIMIT;
    assert_eq!(cycles.jobs(), (1, 0));
    cycles.run(1);
    assert_eq!(cycles.jobs(), (0, 0));
    assert!(matches!(
        last(&mut stalled),
        Some(Err(EngineError::Stalled))
    ));
    Ok(())
}

#[test]
fn a_finished_text_is_kept_until_it_is_read() -> Result {
    let mut cycles = Cycles::new(1);
    let mut unread = cycles.submit(MORE, 16)?;
    let mut next = cycles.submit(SHORT, 1)?;
    cycles.run(20);
    // Its slot is free all the same.
    assert!(is_finished(&mut next));
    assert_eq!(cycles.jobs(), (1, 0));
    assert!(matches!(last(&mut unread), Some(Ok(Event::Text { .. }))));
    cycles.run(1);
    assert!(is_finished(&mut unread));
    assert_eq!(cycles.jobs(), (0, 0));
    Ok(())
}

mod continued;

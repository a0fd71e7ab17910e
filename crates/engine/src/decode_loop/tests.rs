use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use super::*;
use crate::{FinishReason, Generation, Sampling};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const FINISHED: Event = Event::Finished {
    reason: FinishReason::Stop,
    prompt_tokens: 1,
    completion_tokens: 0,
};

fn task(max_tokens: u32) -> Result<(Task, Generation)> {
    let (outbox, generation) = Outbox::open(Arc::default(), Duration::ZERO)?;
    let job = Job {
        prompt: Vec::new(),
        max_tokens,
        sampling: Sampling::default(),
        stop: Vec::new(),
    };
    Ok((Task { job, outbox }, generation))
}

/// Runs jobs with these `max_tokens`: one of 0 tokens panics, of 1 token fails,
/// of 2 finishes. Returns how each ended and how many contexts were opened.
async fn serve_all(jobs: &[u32]) -> Result<(Vec<std::result::Result<Event, EngineError>>, u32)> {
    let (sender, tasks) = sync_channel(jobs.len());
    let mut generations = Vec::new();
    for &max_tokens in jobs {
        let (task, generation) = task(max_tokens)?;
        sender.try_send(task)?;
        generations.push(generation);
    }
    drop(sender);
    let opened = Cell::new(0);
    let open = || {
        opened.set(opened.get() + 1);
        Ok(())
    };
    serve(&tasks, (), open, |(), job, _| match job.max_tokens {
        0 => std::panic::resume_unwind(Box::new("a panic without a message")),
        1 => Err(EngineError::Internal.into()),
        _ => Ok(FINISHED),
    });
    let mut ends = Vec::new();
    for mut generation in generations {
        ends.push(generation.next().await.ok_or("no message")?);
    }
    Ok((ends, opened.get()))
}

#[tokio::test]
async fn jobs_share_a_context() -> Result {
    let (ends, opened) = serve_all(&[2, 2]).await?;
    assert!(
        ends.iter()
            .all(|end| matches!(end, Ok(event) if *event == FINISHED))
    );
    assert_eq!(opened, 0);
    Ok(())
}

#[tokio::test]
async fn a_panic_fails_its_job_only() -> Result {
    let (ends, opened) = serve_all(&[0, 2, 2]).await?;
    assert!(matches!(ends[0], Err(EngineError::Internal)));
    assert!(
        ends[1..]
            .iter()
            .all(|end| matches!(end, Ok(event) if *event == FINISHED))
    );
    assert_eq!(opened, 1);
    Ok(())
}

#[tokio::test]
async fn a_failed_job_costs_the_context() -> Result {
    let (ends, opened) = serve_all(&[1, 2]).await?;
    assert!(matches!(ends[0], Err(EngineError::Internal)));
    assert!(matches!(&ends[1], Ok(event) if *event == FINISHED));
    assert_eq!(opened, 1);
    Ok(())
}

#[tokio::test]
async fn a_job_cancelled_while_it_waited_never_runs() -> Result {
    let (sender, tasks) = sync_channel(1);
    let (task, generation) = task(0)?;
    sender.try_send(task)?;
    drop((sender, generation));
    let runs = Cell::new(0);
    serve(
        &tasks,
        (),
        || Ok(()),
        |(), _, _| {
            runs.set(runs.get() + 1);
            Ok(FINISHED)
        },
    );
    assert_eq!(runs.get(), 0);
    Ok(())
}

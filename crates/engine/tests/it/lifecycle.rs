//! Cancelling, waiting, stalling and stopping.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use fathom_engine::{Engine, EngineError, EngineOptions, Event, Job, LoadError};
use tokio::time::{sleep, timeout};

use crate::harness::{
    Result, assert_same_but_for_rounding, engine, finish, job, long_job, options, run, start,
    weights,
};

/// Longer than a cancelled job may take, with room for a busy machine.
const SOON: Duration = Duration::from_millis(1000);

#[tokio::test]
async fn a_job_cancelled_while_its_prompt_is_read_ends_soon() -> Result {
    let engine = engine().await?;
    let mut generation = engine.submit(long_job("Cancelled", 64)?)?;
    assert!(matches!(
        generation.next().await,
        Some(Ok(Event::Started { .. }))
    ));
    let cancelled = Instant::now();
    drop(generation);
    run(&engine, job("Hello", 1)?).await?;
    assert!(cancelled.elapsed() < SOON);
    Ok(())
}

#[tokio::test]
async fn a_job_cancelled_while_it_generates_ends_soon() -> Result {
    let engine = engine().await?;
    let mut generation = engine.submit(job("Write a long story.", 900)?)?;
    while !matches!(generation.next().await, Some(Ok(Event::Text { .. }))) {}
    let cancelled = Instant::now();
    drop(generation);
    run(&engine, job("Hello", 1)?).await?;
    assert!(cancelled.elapsed() < SOON);
    Ok(())
}

#[tokio::test]
async fn nothing_of_a_cancelled_job_is_left() -> Result {
    let engine = engine().await?;
    let told = || {
        job("Write a short story.", 12).map(|job| Job {
            logprobs: Some(4),
            ..job
        })
    };
    let before = run(&engine, told()?).await?;
    let mut generation = engine.submit(long_job("Nothing is left", 8)?)?;
    generation.next().await;
    drop(generation);
    let after = run(&engine, told()?).await?;
    assert_same_but_for_rounding(&before, &after);
    Ok(())
}

#[tokio::test]
async fn a_full_engine_is_busy() -> Result {
    let _alone = engine().await?;
    let engine = start(EngineOptions {
        slots: NonZeroUsize::MIN,
        max_waiting: 2,
        ..options()
    })?;
    let mut running = engine.submit(long_job("Busy", 1)?)?;
    running.next().await;
    let waiting = [
        engine.submit(job("Hello", 1)?)?,
        engine.submit(job("Hello", 1)?)?,
    ];
    let error = engine.submit(job("Hello", 1)?).err();
    assert!(matches!(error, Some(EngineError::Busy)));
    // The first token may be read before the step that made it is counted.
    let counted = async {
        loop {
            let load = engine.load();
            if (load.slots, load.running, load.waiting) == (1, 1, 2) {
                break;
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), counted).await?;
    drop(running);
    for generation in waiting {
        assert_eq!(finish(generation).await?.completion_tokens, 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_job_that_waits_too_long_is_given_up() -> Result {
    let _alone = engine().await?;
    let engine = start(EngineOptions {
        slots: NonZeroUsize::MIN,
        max_wait: Duration::from_millis(20),
        ..options()
    })?;
    let mut running = engine.submit(job("Write a long story.", 900)?)?;
    running.next().await;
    let waiting = engine.submit(job("Hello", 1)?)?;
    assert!(matches!(finish(waiting).await, Err(EngineError::Expired)));
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_does_not_read_loses_its_job_and_no_other() -> Result {
    let _alone = engine().await?;
    let engine = start(EngineOptions {
        stall_limit: Duration::from_millis(50),
        ..options()
    })?;
    let stalled = engine.submit(job("Write a long story.", 200)?)?;
    let beside = run(&engine, job("Write a short story.", 40)?).await?;
    assert_eq!(beside.completion_tokens, 40);
    while engine.load().running > 0 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(finish(stalled).await, Err(EngineError::Stalled)));
    Ok(())
}

#[tokio::test]
async fn dropping_the_engine_ends_its_jobs() -> Result {
    let _alone = engine().await?;
    let engine = start(options())?;
    let mut running = engine.submit(long_job("Dropped", 8)?)?;
    running.next().await;
    let waiting = engine.submit(job("Hello", 1)?)?;
    let dropped = Instant::now();
    drop(engine);
    assert!(dropped.elapsed() < SOON);
    assert!(matches!(finish(running).await, Err(EngineError::Stopped)));
    assert!(matches!(finish(waiting).await, Err(EngineError::Stopped)));
    Ok(())
}

#[test]
fn a_context_the_model_was_not_trained_for_is_refused() -> Result {
    for requested in [0, 8193] {
        let options = EngineOptions {
            context_length: requested,
            ..options()
        };
        let error = Engine::start(weights()?, options).err();
        assert!(matches!(
            error,
            Some(LoadError::ContextLength { trained: 8192, .. })
        ));
    }
    Ok(())
}

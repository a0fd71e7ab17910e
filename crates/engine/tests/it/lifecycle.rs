//! Cancelling, waiting, stalling and stopping.

use std::time::{Duration, Instant};

use fathom_engine::{Engine, EngineError, EngineOptions, Event, LoadError};

use crate::harness::{Result, engine, finish, job, long_job, options, run, weights};

/// Longer than a cancelled job may take, with room for a busy machine.
const SOON: Duration = Duration::from_millis(1000);

#[tokio::test]
async fn a_job_cancelled_while_its_prompt_is_read_ends_soon() -> Result {
    let engine = engine().await?;
    let mut generation = engine.submit(long_job(64)?)?;
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
    let before = run(&engine, job("Write a short story.", 12)?).await?;
    let mut generation = engine.submit(long_job(8)?)?;
    generation.next().await;
    drop(generation);
    assert_eq!(
        run(&engine, job("Write a short story.", 12)?).await?,
        before
    );
    Ok(())
}

#[tokio::test]
async fn a_full_engine_is_busy() -> Result {
    let engine = engine().await?;
    let mut running = engine.submit(long_job(1)?)?;
    running.next().await;
    let mut waiting = Vec::new();
    let error = loop {
        match engine.submit(job("Hello", 1)?) {
            Ok(generation) => waiting.push(generation),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, EngineError::Busy));
    assert!((1..=8).contains(&waiting.len()));
    drop(running);
    for generation in waiting {
        assert_eq!(finish(generation).await?.completion_tokens, 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_does_not_read_loses_its_job() -> Result {
    let _alone = engine().await?;
    let stall_limit = Duration::from_millis(50);
    let engine = Engine::start(
        weights()?,
        EngineOptions {
            stall_limit,
            ..options()
        },
    )?;
    let stalled = engine.submit(job("Write a long story.", 200)?)?;
    run(&engine, job("Hello", 1)?).await?;
    assert!(matches!(finish(stalled).await, Err(EngineError::Stalled)));
    Ok(())
}

#[tokio::test]
async fn dropping_the_engine_ends_its_jobs() -> Result {
    let _alone = engine().await?;
    let engine = Engine::start(weights()?, options())?;
    let mut running = engine.submit(long_job(8)?)?;
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

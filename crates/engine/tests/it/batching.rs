//! What jobs do to each other when they run together.

use std::num::NonZeroUsize;

use fathom_engine::{EngineOptions, Event, Job, Token};
use futures::future::try_join_all;

use crate::harness::{
    Result, assert_same_but_for_rounding, engine, finish, job, job_of, long_job, options, run,
    start, weights,
};

const PROMPTS: [&str; 8] = [
    "Write a short story about a lighthouse keeper.",
    "Explain how a sailing boat can move against the wind.",
    "List ten things to take on a long mountain walk in winter.",
    "Describe the life of a bee.",
    "Write a letter to a friend who has moved to another country.",
    "How does bread rise?",
    "Tell me about the history of the bicycle.",
    "Write a poem about the sea in the early morning.",
];

/// A text that was never read before, of exactly so many tokens.
fn prefix(topic: &str, tokens: usize) -> Result<Vec<Token>> {
    let text = "The old house stood at the end of the lane, behind three tall trees. ".repeat(60);
    let mut prefix = weights()?.tokenize(&format!("About {topic}. {text}"))?;
    prefix.truncate(tokens);
    Ok(prefix)
}

#[tokio::test]
async fn a_long_prompt_does_not_stall_running_texts() -> Result {
    let engine = engine().await?;
    let mut running = engine.submit(job("Write a long story.", 400)?)?;
    while !matches!(running.next().await, Some(Ok(Event::Text { .. }))) {}
    let mut long = engine.submit(long_job("No stall", 1)?)?;
    assert!(matches!(
        long.next().await,
        Some(Ok(Event::Started {
            cached_tokens: 0..100,
            ..
        }))
    ));
    let mut between = 0;
    let long = loop {
        tokio::select! {
            biased;
            Some(event) = running.next() => between += u32::from(matches!(event?, Event::Text { .. })),
            event = long.next() => break event,
        }
    };
    assert!(matches!(
        long,
        Some(Ok(Event::Text { .. } | Event::Finished { .. }))
    ));
    // 600 tokens take 38 steps, in each of which the other text goes on.
    assert!(between > 20, "{between} tokens while a prompt was read");
    Ok(())
}

#[tokio::test]
async fn a_prefix_is_read_once() -> Result {
    let _alone = engine().await?;
    let engine = start(options())?;
    let mut outcomes = Vec::new();
    for cached_tokens in [0, 299, 299] {
        let mut job = job_of(prefix("prefixes", 300)?, 8)?;
        job.logprobs = Some(4);
        let outcome = run(&engine, job).await?;
        assert_eq!(outcome.prompt_tokens, 300);
        assert_eq!(outcome.cached_tokens, cached_tokens);
        outcomes.push(outcome);
    }
    assert_same_but_for_rounding(&outcomes[0], &outcomes[1]);
    assert_eq!(outcomes[1].text, outcomes[2].text);
    let mut longer = prefix("prefixes", 300)?;
    longer.extend(weights()?.tokenize(" And what came of it?")?);
    let longer = run(&engine, job_of(longer, 8)?).await?;
    assert!(longer.cached_tokens >= 300);
    Ok(())
}

#[tokio::test]
async fn a_prefix_is_read_once_by_jobs_that_come_together() -> Result {
    let engine = engine().await?;
    let jobs = (0..4).map(|_| Ok(engine.submit(job_of(prefix("company", 300)?, 4)?)?));
    let generations = jobs.collect::<Result<Vec<_>>>()?;
    let outcomes = try_join_all(generations.into_iter().map(finish)).await?;
    let cached: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.cached_tokens)
        .collect();
    assert!(
        cached[0] < 10 && cached[1..].iter().all(|&cached| cached > 260),
        "{cached:?}"
    );
    Ok(())
}

#[tokio::test]
async fn nothing_is_reused_across_partitions() -> Result {
    let engine = engine().await?;
    for partition in ["one", "other"] {
        let mut job = job_of(prefix("partitions", 300)?, 2)?;
        job.partition = partition.into();
        assert_eq!(run(&engine, job).await?.cached_tokens, 0);
    }
    Ok(())
}

#[tokio::test]
async fn more_jobs_than_slots_all_finish() -> Result {
    let _alone = engine().await?;
    let engine = start(EngineOptions {
        context_length: 256,
        slots: NonZeroUsize::MIN.saturating_add(1),
        ..options()
    })?;
    let jobs = PROMPTS.map(|prompt| Ok(engine.submit(job(prompt, 60)?)?));
    let generations = jobs.into_iter().collect::<Result<Vec<_>>>()?;
    for outcome in try_join_all(generations.into_iter().map(finish)).await? {
        assert_eq!(outcome.text_tokens, outcome.completion_tokens);
    }
    let load = engine.load();
    assert_eq!((load.running, load.waiting, load.kv_capacity), (0, 0, 512));
    Ok(())
}

#[tokio::test]
async fn jobs_give_the_same_text_alone_and_together_but_for_rounding() -> Result {
    let _alone = engine().await?;
    let engine = start(options())?;
    let told = |prompt, partition: &str| {
        job(prompt, 12).map(|job| Job {
            partition: partition.into(),
            logprobs: Some(8),
            ..job
        })
    };
    let mut alone = Vec::new();
    for prompt in PROMPTS {
        alone.push(run(&engine, told(prompt, "alone")?).await?);
    }
    let jobs = PROMPTS.map(|prompt| Ok(engine.submit(told(prompt, "together")?)?));
    let generations = jobs.into_iter().collect::<Result<Vec<_>>>()?;
    let together = try_join_all(generations.into_iter().map(finish)).await?;
    for (alone, together) in alone.iter().zip(&together) {
        assert_same_but_for_rounding(alone, together);
    }
    Ok(())
}

//! How probable tokens were, and the prompt's own text.

use fathom_engine::{FinishReason, TokenLogprob};

use crate::harness::{Result, engine, job, job_of, run, weights};

#[tokio::test]
async fn the_chosen_token_is_the_likeliest_at_temperature_zero() -> Result {
    let engine = engine().await?;
    let mut told = job("Write a short story.", 6)?;
    told.logprobs = Some(3);
    let outcome = run(&engine, told).await?;
    assert_eq!(outcome.logprobs.len(), 6);
    for token in &outcome.logprobs {
        assert_eq!(token.top.len(), 3);
        assert!(
            token
                .top
                .is_sorted_by(|one, next| one.logprob >= next.logprob)
        );
        assert_eq!(token.top[0].bytes, token.bytes);
        assert_eq!(Some(token.top[0].logprob), token.logprob);
        assert!(token.logprob.is_some_and(|logprob| logprob <= 0.0));
    }
    let bytes: Vec<_> = outcome
        .logprobs
        .iter()
        .flat_map(|token| token.bytes.clone())
        .collect();
    assert_eq!(String::from_utf8(bytes)?, outcome.text);
    Ok(())
}

#[tokio::test]
async fn nothing_is_told_unasked() -> Result {
    let engine = engine().await?;
    let outcome = run(&engine, job("Write a short story.", 4)?).await?;
    assert!(outcome.logprobs.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_prompt_is_echoed_before_its_text() -> Result {
    let engine = engine().await?;
    let prompt = "The capital of France is";
    for max_tokens in [0, 3] {
        let mut echoed = job_of(weights()?.tokenize(prompt)?, max_tokens)?;
        echoed.echo = true;
        let outcome = run(&engine, echoed).await?;
        assert_eq!(outcome.echo, prompt);
        assert_eq!(outcome.completion_tokens, max_tokens);
        assert_eq!(outcome.reason, FinishReason::Length);
    }
    Ok(())
}

#[tokio::test]
async fn an_echo_tells_every_token_of_the_prompt() -> Result {
    let engine = engine().await?;
    let prompt = "The quick brown fox jumps over the lazy dog. ".repeat(16);
    let tokens = weights()?.tokenize(&prompt)?;
    assert!(tokens.len() > 2 * 64);
    // The second time nothing of it may come from the cache.
    for _ in 0..2 {
        let mut echoed = job_of(tokens.clone(), 2)?;
        (echoed.echo, echoed.logprobs) = (true, Some(1));
        let outcome = run(&engine, echoed).await?;
        assert_eq!(outcome.cached_tokens, 0);
        assert_eq!(outcome.logprobs.len(), tokens.len() + 2);
        let (first, rest) = outcome.logprobs.split_first().ok_or("none")?;
        assert!(first.logprob.is_none() && first.top.is_empty());
        assert!(
            rest.iter()
                .all(|token| token.logprob.is_some() && token.top.len() == 1)
        );
        // A sentence said for the sixteenth time is no surprise.
        let sum = |logprobs: &[TokenLogprob]| -> f32 {
            logprobs.iter().filter_map(|token| token.logprob).sum()
        };
        let [first, last] = [&rest[..10], &rest[tokens.len() - 11..tokens.len() - 1]].map(sum);
        assert!(last > first / 4.0, "{first} at first, {last} at last");
        let bytes = outcome.logprobs[..tokens.len()]
            .iter()
            .flat_map(|token| token.bytes.clone());
        assert_eq!(String::from_utf8(bytes.collect())?, prompt);
    }
    Ok(())
}

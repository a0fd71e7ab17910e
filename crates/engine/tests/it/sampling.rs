//! What sampling parameters do to the text.

use fathom_engine::{EngineError, Sampling, Token};

use crate::harness::{
    Result, assert_same_but_for_rounding, engine, job, options, run, start, weights,
};

/// An engine that has read nothing yet always rounds alike.
#[tokio::test]
async fn temperature_zero_repeats() -> Result {
    let _alone = engine().await?;
    let first = run(&start(options())?, job("Write a short story.", 24)?).await?;
    let second = run(&start(options())?, job("Write a short story.", 24)?).await?;
    assert_eq!(first.text, second.text);
    assert_eq!(first.completion_tokens, 24);
    Ok(())
}

#[tokio::test]
async fn a_seed_repeats_and_another_does_not() -> Result {
    let _alone = engine().await?;
    let mut texts = Vec::new();
    for seed in [Some(7), Some(7), Some(8), None, None] {
        let mut job = job("Write a short story.", 24)?;
        job.sampling = Sampling {
            temperature: 1.2,
            top_p: 0.95,
            seed,
            ..Sampling::default()
        };
        texts.push(run(&start(options())?, job).await?.text);
    }
    assert_eq!(texts[0], texts[1]);
    assert_ne!(texts[0], texts[2]);
    assert_ne!(texts[3], texts[4]);
    Ok(())
}

#[tokio::test]
async fn top_k_of_one_is_greedy() -> Result {
    let engine = engine().await?;
    let mut greedy = job("Write a short story.", 16)?;
    greedy.logprobs = Some(4);
    let greedy = run(&engine, greedy).await?;
    for sampling in [
        Sampling {
            top_k: Some(1),
            ..Sampling::default()
        },
        Sampling {
            top_p: 0.0,
            ..Sampling::default()
        },
        Sampling {
            min_p: 1.0,
            ..Sampling::default()
        },
    ] {
        let mut job = job("Write a short story.", 16)?;
        (job.sampling, job.logprobs) = (sampling, Some(4));
        assert_same_but_for_rounding(&greedy, &run(&engine, job).await?);
    }
    Ok(())
}

#[tokio::test]
async fn a_presence_penalty_ends_repetition() -> Result {
    let engine = engine().await?;
    let prompt = "Repeat the word yes forever: yes yes yes yes";
    let plain = run(&engine, job(prompt, 32)?).await?;
    let mut penalized = job(prompt, 32)?;
    penalized.sampling.presence_penalty = 100.0;
    let penalized = run(&engine, penalized).await?;
    let mut words: Vec<_> = penalized.text.split_whitespace().collect();
    let total = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), total);
    assert_ne!(plain.text, penalized.text);
    Ok(())
}

#[tokio::test]
async fn a_bias_forces_a_token() -> Result {
    let engine = engine().await?;
    let token = weights()?.tokenize(" crab")?[0];
    let mut biased = job("Write a short story.", 3)?;
    biased.sampling.logit_bias = vec![(token, 100.0)];
    assert_eq!(run(&engine, biased).await?.text, " crab crab crab");
    let mut unknown = job("Hello", 1)?;
    unknown.sampling.logit_bias = vec![(Token(49_152), 1.0)];
    assert!(matches!(
        engine.submit(unknown).err(),
        Some(EngineError::InvalidSampling {
            parameter: "logit_bias"
        })
    ));
    Ok(())
}

#[tokio::test]
async fn nonsense_is_refused() -> Result {
    let engine = engine().await?;
    let mut job = job("Hello", 1)?;
    job.sampling.temperature = f32::NAN;
    let error = engine.submit(job).err();
    assert!(matches!(
        error,
        Some(EngineError::InvalidSampling {
            parameter: "temperature"
        })
    ));
    Ok(())
}

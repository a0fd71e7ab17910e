//! Where texts end and how they are counted.

use fathom_engine::{EngineError, Event, FinishReason, Token};
use futures::StreamExt;

use crate::harness::{Result, engine, job, options, run, start};

#[tokio::test]
async fn events_come_in_order() -> Result {
    let engine = engine().await?;
    let generation = engine.submit(job("Write a short story.", 4)?)?;
    let events: Vec<_> = generation.collect().await;
    let [
        Ok(Event::Started { prompt_tokens, .. }),
        texts @ ..,
        Ok(finished),
    ] = events.as_slice()
    else {
        return Err("not a started and finished job".into());
    };
    assert!(
        texts
            .iter()
            .all(|event| matches!(event, Ok(Event::Text { tokens, .. }) if !tokens.is_empty()))
    );
    let prompt = *prompt_tokens;
    assert!(matches!(
        *finished,
        Event::Finished { reason: FinishReason::Length, prompt_tokens, completion_tokens: 4, .. }
            if prompt_tokens == prompt
    ));
    Ok(())
}

#[tokio::test]
async fn the_model_ends_its_text_itself() -> Result {
    let engine = engine().await?;
    let outcome = run(&engine, job("What is 2+2? Answer with one word.", 64)?).await?;
    assert_eq!(outcome.reason, FinishReason::Stop);
    assert!(outcome.completion_tokens < 64);
    assert_eq!(outcome.text_tokens, outcome.completion_tokens);
    assert!(!outcome.text.contains("<|im_end|>"));
    Ok(())
}

#[tokio::test]
async fn max_tokens_is_exact() -> Result {
    let engine = engine().await?;
    for max_tokens in [1, 2, 5] {
        let outcome = run(&engine, job("Write a short story.", max_tokens)?).await?;
        assert_eq!(outcome.completion_tokens, max_tokens);
        assert_eq!(outcome.text_tokens, max_tokens);
        assert_eq!(outcome.reason, FinishReason::Length);
    }
    Ok(())
}

#[tokio::test]
async fn a_stop_string_ends_the_text_before_it() -> Result {
    let _alone = engine().await?;
    let whole = run(&start(options())?, job("Write a short story.", 24)?).await?;
    let at = whole.text.char_indices().nth(30).map_or(0, |(at, _)| at);
    let stop = whole.text[at..at + 9].to_owned();
    let mut stopped = job("Write a short story.", 24)?;
    stopped.stop = vec![String::new(), "\u{1F980}".into(), stop.clone()];
    let outcome = run(&start(options())?, stopped).await?;
    assert_eq!(
        outcome.text,
        whole.text[..whole.text.find(&stop).unwrap_or_default()]
    );
    assert_eq!(outcome.reason, FinishReason::StopString(2));
    assert!(outcome.completion_tokens < 24);
    Ok(())
}

#[tokio::test]
async fn characters_of_several_tokens_arrive_whole() -> Result {
    let engine = engine().await?;
    let job = job("Say it again: 🦀🦀🦀 日本語 🦀🦀🦀 日本語", 48)?;
    let outcome = run(&engine, job).await?;
    // The last character may be cut short by max_tokens.
    let text = outcome.text.trim_end_matches('\u{FFFD}');
    assert!(text.chars().any(|char| char.len_utf8() > 2));
    assert!(!text.contains('\u{FFFD}'));
    Ok(())
}

#[tokio::test]
async fn the_context_length_ends_the_text() -> Result {
    let engine = engine().await?;
    let context_length = options().context_length;
    let mut full = job("Write a short story.", 100)?;
    let one = full.prompt[full.prompt.len() - 2];
    full.prompt.resize(context_length as usize - 3, one);
    let outcome = run(&engine, full).await?;
    assert!(outcome.completion_tokens <= 3);
    if outcome.reason == FinishReason::Length {
        assert_eq!(
            outcome.prompt_tokens + outcome.completion_tokens,
            context_length
        );
    }
    Ok(())
}

#[tokio::test]
async fn nothing_to_do_is_refused() -> Result {
    let engine = engine().await?;
    let error = engine.submit(job("Hello", 0)?).err();
    assert!(matches!(error, Some(EngineError::NothingToDo)));
    Ok(())
}

#[tokio::test]
async fn impossible_prompts_are_refused() -> Result {
    let engine = engine().await?;
    let mut empty = job("Hello", 1)?;
    empty.prompt.clear();
    assert!(matches!(
        engine.submit(empty).err(),
        Some(EngineError::EmptyPrompt)
    ));
    let mut long = job("Hello", 1)?;
    long.prompt
        .resize(options().context_length as usize, Token(100));
    assert!(matches!(
        engine.submit(long).err(),
        Some(EngineError::PromptTooLong {
            tokens: 1024,
            context_length: 1024
        })
    ));
    for token in [Token(-1), Token(49_152)] {
        let mut unknown = job("Hello", 1)?;
        unknown.prompt.push(token);
        assert!(matches!(
            engine.submit(unknown).err(),
            Some(EngineError::UnknownToken)
        ));
    }
    Ok(())
}

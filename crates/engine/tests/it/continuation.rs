//! Texts that go on from what another engine generated of them.

use fathom_engine::{AnswerStyle, EngineError, FinishReason, Form, Job, TextForm, Thinking, Token};

use crate::harness::{
    Outcome, Result, assert_same_but_for_rounding, engine, job, options, run, start, weights,
};

/// What is left of an outcome after so many tokens.
fn after(outcome: &Outcome, cut: usize) -> Outcome {
    Outcome {
        text: String::new(),
        echo: String::new(),
        replayed: String::new(),
        ids: outcome.ids[cut..].to_vec(),
        logprobs: outcome.logprobs[cut..].to_vec(),
        ..*outcome
    }
}

/// Runs the job whole and from each of these cuts. What follows a cut is the same but for
/// rounding: the tokens before it are read in one chunk that were read one by one.
async fn assert_continues(make: impl Fn() -> Result<Job>, cuts: &[usize]) -> Result<Outcome> {
    let _alone = engine().await?;
    let told = |job: Job| Job {
        logprobs: Some(8),
        ..job
    };
    let whole = run(&start(options())?, told(make()?)).await?;
    for &cut in cuts.iter().filter(|&&cut| cut <= whole.ids.len()) {
        let job = Job {
            generated: whole.ids[..cut].to_vec(),
            ..told(make()?)
        };
        let rest = run(&start(options())?, job).await?;
        assert_eq!(rest.prompt_tokens, whole.prompt_tokens);
        if rest.ids.ends_with(&whole.ids[cut..]) {
            assert_eq!(rest.replayed + &rest.text, whole.text, "{cut}");
            assert_eq!(rest.completion_tokens, whole.completion_tokens, "{cut}");
            assert_eq!(rest.reason, whole.reason, "{cut}");
        } else {
            assert_same_but_for_rounding(&after(&whole, cut), &rest);
        }
    }
    Ok(whole)
}

#[tokio::test]
async fn a_text_goes_on_as_it_would_have() -> Result {
    let make = || job("Write a short story.", 24);
    assert_continues(make, &[1, 7, 24]).await?;
    Ok(())
}

#[tokio::test]
async fn characters_that_are_cut_in_two_go_on_whole() -> Result {
    let make = || job("Say it again: 🦀🦀🦀 日本語 🦀🦀🦀 日本語", 24);
    let whole = assert_continues(make, &[4, 5, 6]).await?;
    assert!(whole.text.chars().any(|char| char.len_utf8() > 2));
    Ok(())
}

#[tokio::test]
async fn a_stop_string_is_found_across_the_cut() -> Result {
    let text = {
        let _alone = engine().await?;
        run(&start(options())?, job("Write a short story.", 24)?)
            .await?
            .text
    };
    let at = text.char_indices().nth(30).map_or(0, |(at, _)| at);
    let stop = text[at..at + 9].to_owned();
    let make = || {
        Ok(Job {
            stop: vec![stop.clone()],
            ..job("Write a short story.", 24)?
        })
    };
    let whole = assert_continues(make, &[4, 6, 7]).await?;
    assert_eq!(whole.reason, FinishReason::StopString(0));
    Ok(())
}

fn json(content: &str, max_tokens: u32) -> Result<Job> {
    let form = Form {
        style: AnswerStyle {
            thinking: Thinking::Never,
            calls: None,
        },
        text: TextForm::JsonSchema(
            r#"{"type": "object", "properties": {"river": {"enum": ["Rhine", "Nile"]},
                "long": {"type": "boolean"}}, "required": ["river", "long"],
                "additionalProperties": false}"#
                .into(),
        ),
        calls: None,
    };
    Ok(Job {
        constraint: Some(weights()?.constrain(&form)?),
        ..job(content, max_tokens)?
    })
}

#[tokio::test]
async fn a_schema_holds_across_the_cut() -> Result {
    let whole = assert_continues(|| json("Which river?", 40), &[1, 5, 9]).await?;
    assert_eq!(whole.reason, FinishReason::Stop);
    let engine = engine().await?;
    for (generated, place) in [
        (vec![Token(100)], 0),
        (whole.ids.repeat(2), whole.ids.len()),
    ] {
        let job = Job {
            generated,
            ..json("Which river?", 60)?
        };
        let refused = engine.submit(job).err();
        assert!(
            matches!(refused, Some(EngineError::Generated { index, .. }) if index == place),
            "{refused:?}"
        );
    }
    let complete = Job {
        generated: whole.ids.clone(),
        ..json("Which river?", 60)?
    };
    let outcome = run(&engine, complete).await?;
    assert_eq!(outcome.replayed + &outcome.text, whole.text);
    assert_eq!(outcome.reason, FinishReason::Stop);
    Ok(())
}

#[tokio::test]
async fn what_was_generated_elsewhere_is_remembered_with_its_prompt() -> Result {
    let _alone = engine().await?;
    let engine = start(options())?;
    let whole = run(&engine, job("Write a short story.", 24)?).await?;
    let job = Job {
        generated: whole.ids[..20].to_vec(),
        ..job("Write a short story.", 24)?
    };
    let again = run(&engine, job).await?;
    // All of the prompt is cached, and no more of it is told.
    assert_eq!(again.cached_tokens, whole.prompt_tokens);
    Ok(())
}

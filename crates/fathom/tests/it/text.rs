use fathom_api::sampling::OneOrMany;
use fathom_api::usage::FinishReason;
use fathom_client::Error;
use fathom_engine::{ChatMessage, Weights};

use crate::ask::{chat, streamed, whole};
use crate::harness::{REAL, Server, home, real, shared};
use crate::process::test_path;

const QUESTION: &str = "Tell me in one sentence what a lighthouse is for.";

fn weights() -> Weights {
    let models = test_path("FATHOM_TEST_MODELS");
    Weights::load(&models.join("SmolLM2-135M-Instruct-Q4_1.gguf")).unwrap()
}

/// A server that was not asked anything yet: only there does the same request surely give the
/// same text.
async fn fresh() -> Server {
    real(&home(), &["--set", REAL]).await
}

#[tokio::test]
async fn a_real_model_answers_sensibly_and_the_same_when_it_starts_anew() {
    let asked = chat(QUESTION, 64);
    let first = whole(&fresh().await.client(), &asked).await;
    assert!(first.text.to_lowercase().contains("light"), "{first:?}");
    assert_eq!(first.reason, FinishReason::Stop);
    // Text, reason and counts alike.
    assert_eq!(streamed(&fresh().await.client(), &asked).await, first);
}

#[tokio::test]
async fn a_prompt_that_was_read_before_is_not_read_in_full_again() {
    let server = shared().await;
    let client = server.client();
    let asked = chat(
        "Which is the longest river of Africa, and where does it end?",
        8,
    );
    let first = whole(&client, &asked).await.usage;
    let second = streamed(&client, &asked).await.usage;
    assert!(second.prompt_cache_hit_tokens > first.prompt_cache_hit_tokens);
    for usage in [first, second] {
        assert_eq!(usage.prompt_tokens, first.prompt_tokens);
        let (hit, miss) = (
            usage.prompt_cache_hit_tokens,
            usage.prompt_cache_miss_tokens,
        );
        assert_eq!(hit + miss, usage.prompt_tokens);
    }
}

#[tokio::test]
async fn usage_is_what_the_models_own_tokenizer_counts() {
    let server = shared().await;
    let answer = whole(&server.client(), &chat(QUESTION, 64)).await;
    let weights = weights();
    let turn = ChatMessage::new("user", QUESTION.to_owned());
    let prompt = weights.render_chat(&[turn], &[]).unwrap().len();
    let completion = weights.tokenize(&answer.text).unwrap().len();
    assert_eq!(answer.usage.prompt_tokens as usize, prompt);
    assert_eq!(answer.usage.completion_tokens as usize, completion);
    assert_eq!(answer.usage.total_tokens as usize, prompt + completion);
}

#[tokio::test]
async fn max_tokens_is_kept_to_the_token() {
    let server = shared().await;
    for max_tokens in [1, 7] {
        let asked = chat("Name three rivers.", max_tokens);
        let client = server.client();
        for answer in [
            whole(&client, &asked).await,
            streamed(&client, &asked).await,
        ] {
            assert_eq!(answer.usage.completion_tokens, max_tokens);
            assert_eq!(answer.reason, FinishReason::Length);
        }
    }
}

#[tokio::test]
async fn a_stop_text_ends_the_answer_and_is_no_part_of_it() {
    let free = whole(&fresh().await.client(), &chat(QUESTION, 64))
        .await
        .text;
    // From the middle of one word to the middle of the next.
    let (start, end) = (free.len() / 2, free.len() / 2 + 7);
    let stop = &free[start..end];
    let mut asked = chat(QUESTION, 64);
    asked.stop = Some(OneOrMany::One(stop.to_owned()));
    let answer = whole(&fresh().await.client(), &asked).await;
    assert_eq!(answer.text, free[..free.find(stop).unwrap()]);
    assert_eq!(answer.reason, FinishReason::Stop);
    assert_eq!(streamed(&fresh().await.client(), &asked).await, answer);
}

#[tokio::test]
async fn a_seed_chooses_the_answer() {
    let ask = async |seed| {
        let mut asked = chat("Invent a name for a boat.", 16);
        asked.temperature = Some(1.5);
        asked.seed = Some(seed);
        whole(&fresh().await.client(), &asked).await.text
    };
    let text = ask(1).await;
    assert_eq!(ask(1).await, text);
    assert_ne!(ask(2).await, text);
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_refused_with_both_numbers() {
    let server = shared().await;
    let long = chat("river ".repeat(9000), 16);
    let Err(Error::Refused {
        status,
        code,
        message,
        param,
        ..
    }) = server.client().chat(&long).await
    else {
        panic!("a prompt that does not fit was answered");
    };
    assert_eq!((status, code.as_str()), (400, "context_length_exceeded"));
    assert_eq!(param.as_deref(), Some("messages"));
    let turn = ChatMessage::new("user", "river ".repeat(9000));
    let tokens = weights()
        .render_chat(&[turn], &[])
        .unwrap()
        .len()
        .to_string();
    assert!(
        message.contains(&tokens) && message.contains("8192"),
        "{message}"
    );
}

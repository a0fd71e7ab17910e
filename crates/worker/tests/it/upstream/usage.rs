//! Token counts of servers that give none.

use std::path::Path;

use fathom_engine::{ChatMessage, Weights};
use fathom_proto::inference::Usage;
use fathom_worker::UpstreamConfig;

use super::server::{DONE, STOP, Server, Step, head, send, text};
use super::{config, hello, outcome, start};

async fn usage(tokenizer: Option<&Path>) -> Usage {
    let stream = format!(
        "{}{}{STOP}{DONE}",
        text("Hello, "),
        text("world of tokens!")
    );
    let server = Server::start(vec![head(), send(stream), Step::Close]).await;
    let config = UpstreamConfig {
        tokenizer: tokenizer.map(Path::to_owned),
        ..config(&server.url())
    };
    outcome(&start(config).await, hello()).await.end.unwrap().1
}

#[tokio::test]
async fn they_are_estimated_without_a_tokenizer() {
    let Usage {
        prompt_tokens,
        completion_tokens,
        ..
    } = usage(None).await;
    assert_eq!((prompt_tokens, completion_tokens), (2, 2));
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the path of the model is no configuration"
)]
async fn they_are_counted_with_a_tokenizer() {
    let path = std::env::var_os("FATHOM_TEST_MODEL").expect("make test sets FATHOM_TEST_MODEL");
    let path = Path::new(&path);
    let counted = usage(Some(path)).await;
    let weights = Weights::load(path).unwrap();
    let turn = ChatMessage::new("user", "hello".to_owned());
    let prompt = weights.render_chat(&[turn], &[]).unwrap().len() as u32;
    let completion = weights.tokenize("Hello, world of tokens!").unwrap().len() as u32;
    assert_eq!(
        (counted.prompt_tokens, counted.completion_tokens),
        (prompt, completion)
    );
    assert!(completion > 2, "more than there were pieces");
}

//! Weights in this process that make vectors.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Command, Stdio};

use fathom_proto::ErrorCode;
use fathom_proto::inference::{EmbedInput, EmbedRequest, Inference, RequestContext};
use fathom_worker::{EngineConfig, LocalConfig, Worker};
use futures::FutureExt;
use tokio::sync::MutexGuard;

use crate::harness::{context, start, start_local};

/// A worker whose `vectors` is the real model with the metadata of one that makes vectors.
#[expect(
    clippy::disallowed_methods,
    reason = "only the test run knows where Python and the model are"
)]
async fn start_vectors() -> (Worker, MutexGuard<'static, ()>) {
    let (_, turn) = start_local().await;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/it/gguf_with.py");
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("vectors.gguf");
    let made = Command::new(std::env::var_os("FATHOM_TEST_PYTHON").unwrap())
        .arg(script)
        .arg(std::env::var_os("FATHOM_TEST_MODEL").unwrap())
        .arg(&path)
        .arg("llama.pooling_type=1")
        .stdout(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    let engine = EngineConfig::Local(LocalConfig {
        serves: vec!["vectors".to_owned()],
        path: Some(path),
        context_length: Some(64),
        threads: Some(NonZeroUsize::MIN),
        max_queue: 1,
        ..LocalConfig::default()
    });
    (start(engine).await.0, turn)
}

fn request(texts: usize) -> EmbedRequest {
    let text = "Of rivers, lakes and the sea. ".repeat(6);
    EmbedRequest {
        model: "vectors".into(),
        inputs: vec![EmbedInput::Text(text); texts],
        dimensions: None,
        extra: None,
    }
}

#[tokio::test]
async fn a_request_that_is_computed_counts_as_one_that_runs() {
    let (worker, _turn) = start_vectors().await;
    let mut long = pin!(worker.embed(request(12), context()));
    while worker.load().running == 0 {
        assert!(long.as_mut().now_or_never().is_none(), "it never ran");
        tokio::task::yield_now().await;
    }
    let load = worker.load();
    assert_eq!((load.running, load.queued), (1, 0));

    // One may wait, and has the next turn as it is another tenant's.
    let other = RequestContext {
        tenant: "other".into(),
        ..context()
    };
    let short = worker.embed(request(1), other);
    let short = tokio::select! {
        biased;
        short = short => short.unwrap(),
        _ = &mut long => panic!("the long request had every turn"),
    };
    assert_eq!(short.vectors.len(), 1);

    let refused = worker.embed(request(8000), context()).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::InvalidRequest);
    assert_eq!(refused.param.as_deref(), Some("input"));
    assert_eq!(long.await.unwrap().vectors.len(), 12);
    assert_eq!(worker.load().running, 0);
}

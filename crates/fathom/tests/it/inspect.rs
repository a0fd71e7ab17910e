//! `fathom model inspect`

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::home;
use crate::process::{fathom, run, test_path};

const LIMIT: Duration = Duration::from_secs(20);

/// What inspecting `file` prints, or what it says of its failure.
async fn inspect(file: &str, more: &[&str]) -> Result<String, String> {
    let arguments = [&["model", "inspect", file], more].concat();
    let output = run(fathom(home().path(), &arguments), LIMIT).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(text(output.stderr)),
    }
}

#[tokio::test]
async fn a_file_is_what_its_engine_will_be() {
    let file = test_path("FATHOM_TEST_MODELS").join("SmolLM2-135M-Instruct-Q4_1.gguf");
    let file = file.to_str().unwrap();
    let printed = inspect(file, &["--json"]).await.unwrap();
    let mut told: Value = serde_json::from_str(&printed).unwrap();
    let memory = told["memory_bytes"].take().as_u64().unwrap();
    let context = 32_768 * 23_040;
    // The tensors, which are nearly all of the file, and the context.
    assert!(
        (90_000_000..98_362_432).contains(&(memory - context)),
        "{memory}"
    );
    assert_eq!(
        told,
        json!({
            "name": "SmolLM2-135M-Instruct-Q4_1",
            "architecture": "llama",
            "parameters": 134_515_008,
            "quantization": "Q4_1",
            "trained_context_length": 8192,
            "layers": 30,
            "chat_template": true,
            "tools": null,
            "thinks": false,
            "fills_gaps": false,
            "embeddings": null,
            "file_bytes": 98_362_432,
            "default_context_length": 8192,
            "default_kv_tokens": 32_768,
            "memory_bytes": null,
            "memory_per_1000_tokens_bytes": 23_040_000,
            "memory_is_estimate": false,
        })
    );
    let printed = inspect(file, &[]).await.unwrap();
    for part in [
        "Q4_1",
        "8192 tokens",
        "93.9 MiB",
        "22.0 MiB",
        "for 32768 tokens of context",
    ] {
        assert!(printed.contains(part), "no `{part}` in: {printed}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_model_is_named() {
    let error = inspect("/no/such.gguf", &[]).await.unwrap_err();
    assert!(error.contains("/no/such.gguf"), "{error}");
}

//! Python with the packages of the tests.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use fathom_engine::Weights;
use serde_json::Value;

use crate::harness::{Result, model_path};

/// Runs a script of this folder, which reads and writes JSON.
#[expect(
    clippy::disallowed_methods,
    reason = "only the test run knows where Python is"
)]
pub(crate) fn run(script: &str, arguments: &[&str], input: &Value) -> Result<Value> {
    let python = std::env::var_os("FATHOM_TEST_PYTHON")
        .ok_or("FATHOM_TEST_PYTHON is not set: run `make test`")?;
    let mut child = Command::new(python)
        .arg(format!("{}/tests/it/{script}", env!("CARGO_MANIFEST_DIR")))
        .args(arguments)
        .env(
            "HYPOTHESIS_STORAGE_DIRECTORY",
            std::env::temp_dir().join("hypothesis"),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    // The scripts read all of it before they write.
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.to_string().as_bytes())?;
    }
    let output = child.wait_with_output()?;
    assert!(output.status.success(), "{script} failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The test model with other metadata, each as `KEY=VALUE`.
pub(crate) fn weights_with(changes: &[&str]) -> Result<Weights> {
    static COPIES: AtomicUsize = AtomicUsize::new(0);
    let number = COPIES.fetch_add(1, Ordering::Relaxed);
    let name = format!("fathom-weights-{}-{number}.gguf", std::process::id());
    let copy = std::env::temp_dir().join(name);
    let paths = [model_path()?, copy.clone()].map(|path| path.to_string_lossy().into_owned());
    let arguments = paths
        .iter()
        .map(String::as_str)
        .chain(changes.iter().copied());
    run("gguf_with.py", &arguments.collect::<Vec<_>>(), &Value::Null)?;
    let weights = Weights::load(&copy);
    std::fs::remove_file(&copy)?;
    Ok(weights?)
}

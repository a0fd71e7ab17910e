//! Python with the packages of the tests.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::Result;

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

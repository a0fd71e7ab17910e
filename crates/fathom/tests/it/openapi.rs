//! The description of the public port, against the server that it describes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::harness::{Server, home, sim};
use crate::process::{fathom, run, test_path};

/// Printed with a failure; another one tries other requests.
const SEED: &str = "20261130";
const LIMIT: Duration = Duration::from_secs(300);

/// A program of the Python packages.
fn program(name: &str) -> PathBuf {
    let python = test_path("FATHOM_TEST_PYTHON");
    let program = python.parent().unwrap().join(name);
    assert!(
        program.exists(),
        "no {}: run `make test`",
        program.display()
    );
    program
}

#[test]
fn the_command_prints_the_reviewed_document() {
    let output = fathom(home().path(), &["openapi"]).output().unwrap();
    assert!(output.status.success());
    let reviewed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let reviewed = std::fs::read_to_string(reviewed).unwrap();
    assert!(
        String::from_utf8(output.stdout).unwrap() == reviewed,
        "run `make openapi`"
    );
}

/// The document is OpenAPI 3.1, by the schema of the specification itself.
#[tokio::test]
async fn the_document_is_valid() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let mut command = Command::new(program("openapi-spec-validator"));
    command.args(["--schema", "3.1"]).arg(document);
    let output = run(command, LIMIT).await;
    assert!(output.status.success(), "{output:?}");
}

/// EDGE-12: whatever is sent to whichever route, by who may do everything, no answer is one that
/// the document does not have, and none is a failure of the server's.
#[tokio::test]
async fn no_answer_is_undeclared() {
    let server = Server::ready(&home(), &["--set", &sim("tokens=8")]).await;
    let bearer = format!("Authorization: Bearer {}", server.demo("FATHOM_ADMIN_KEY"));
    let streams = "/v1/chat/completions /v1/completions /v1/messages /v1/responses";
    assert_conforms(&schemathesis(&server, &["--header", &bearer], streams).await);
}

/// EDGE-12 and part of SEC-24: the same by who says nothing of himself.
#[tokio::test]
async fn no_answer_to_a_stranger_is_undeclared() {
    let server = Server::ready(&home(), &["--set", &sim("tokens=8")]).await;
    // What each field does is for those who are let in.
    assert_conforms(&schemathesis(&server, &["--phases", "fuzzing"], "").await);
}

/// Runs it; events must have been seen at the paths of `streams`.
async fn schemathesis(server: &Server, arguments: &[&str], streams: &str) -> Output {
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis");
    let mut command = Command::new(program("schemathesis"));
    command
        .arg("--config-file")
        .arg(settings.join("schemathesis.toml"));
    command
        .arg("run")
        .arg(format!("{}/openapi.json", server.base_url()));
    command.args([
        "--seed",
        SEED,
        "--generation-database",
        "none",
        "--no-color",
    ]);
    command.args(arguments);
    command.current_dir(server.home.path());
    command
        .env("PYTHONPATH", &settings)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("SCHEMATHESIS_HOOKS", "hooks");
    let own = server.demo("FATHOM_ADMIN_KEY");
    let own = own.split('-').nth(1).unwrap();
    command.env("FATHOM_TEST_OWN_KEY", own);
    command.env("FATHOM_TEST_STREAMS", streams);
    run(command, LIMIT).await
}

fn assert_conforms(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "seed {SEED}\n{text}\n{errors}");
    println!("seed {SEED}\n{text}");
}

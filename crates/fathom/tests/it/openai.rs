//! What OpenAI's own SDK makes of this server.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::{Server, home, sim};
use crate::process::{run, test_path};

fn python(program: &str) -> Command {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut python = Command::new(test_path("FATHOM_TEST_PYTHON"));
    python.arg(here.join(program)).env_clear();
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

async fn succeeds(command: Command) {
    let output = run(command, Duration::from_secs(60)).await;
    assert!(output.status.success(), "{output:?}");
}

/// A field that a newer SDK has is one that nobody has decided on.
#[tokio::test]
async fn the_documentation_names_every_field_that_the_sdk_can_send() {
    let mut fields = python("openai_fields.py");
    fields.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/wire.md"));
    succeeds(fields).await;
}

/// LIFE-9: neither comments nor blank lines are taken for something else.
#[tokio::test]
async fn the_sdk_skips_signs_of_life() {
    let slow = sim("ttft='600ms', inter_token='100ms', tokens=4, capacity=1");
    let settings = ["--set", &slow, "--set", "gateway.keep_alive=200ms"];
    let server = Server::ready(&home(), &settings).await;
    let mut clients = python("keep_alive.py");
    for name in ["FATHOM_BASE_URL", "FATHOM_API_KEY"] {
        clients.env(name, server.demo(name));
    }
    succeeds(clients).await;
}

/// LIFE-9, with ids: a comment is not taken for an event, and the rest of a stream is read.
#[tokio::test]
async fn the_sdk_reads_streams_that_may_be_taken_up_again() {
    let slow = sim("inter_token='300ms', tokens=4");
    let settings = ["--set", &slow, "--set", "gateway.keep_alive=100ms"];
    let server = Server::ready(&home(), &settings).await;
    let mut clients = python("resume.py");
    for name in ["FATHOM_BASE_URL", "FATHOM_API_KEY"] {
        clients.env(name, server.demo(name));
    }
    succeeds(clients).await;
}

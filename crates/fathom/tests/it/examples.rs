use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::{home, real};
use crate::process::{run, test_path};

/// Two of the programs ask for up to 2,048 and 4,096 tokens and take what the model cares to
/// say; a short context makes it short.
const SHORT: &str =
    r#"worker.engines=[{kind="local", serves=["deepseek-chat"], threads=1, context_length=256}]"#;

/// Each with the variables of `demo.env` alone, as a shell reads them.
#[tokio::test]
async fn every_example_runs_to_its_end() {
    let programs = programs();
    assert!(programs.len() >= 6, "{programs:?}");
    let python = test_path("FATHOM_TEST_PYTHON");
    assert!(python.exists(), "no {}: run `make test`", python.display());
    let server = real(&home(), &["--set", SHORT]).await;
    for program in programs {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", r#"set -a; . "$0"; exec "$@""#]);
        shell.arg(server.demo_file()).arg(&python).arg(&program);
        shell.env_clear().env("PYTHONDONTWRITEBYTECODE", "1");
        shell.env("FATHOM_GRPC", server.grpc());
        let output = run(shell, Duration::from_secs(120)).await;
        assert!(output.status.success(), "{}: {output:?}", program.display());
        assert!(!output.stdout.trim_ascii().is_empty(), "{output:?}");
    }
}

/// Everything in `examples/` that is meant to be run.
fn programs() -> Vec<PathBuf> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut found = Vec::new();
    for folder in [examples.clone(), examples.join("seed")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_python = path.extension().is_some_and(|extension| extension == "py");
            if is_python && fs::read_to_string(&path).unwrap().contains("__main__") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

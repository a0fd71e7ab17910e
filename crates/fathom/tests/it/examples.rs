use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::harness::{home, real};
use crate::programs::{file, runs};

/// Two of the programs ask for up to 2,048 and 4,096 tokens and take what the model cares to
/// say; a short context makes it short.
const SHORT: &str =
    r#"worker.engines=[{kind="local", serves=["deepseek-chat"], threads=1, context_length=256}]"#;

/// Each with the variables of `demo.env` alone, as a shell reads them.
#[tokio::test]
async fn every_example_runs_to_its_end() {
    let programs = programs();
    assert!(programs.len() >= 12, "{programs:?}");
    let server = real(&home(), &["--set", SHORT]).await;
    for program in programs {
        let printed = runs(&server, &program, Duration::from_secs(120)).await;
        assert!(!printed.trim().is_empty(), "{}", program.display());
    }
}

/// Everything in `examples/` that is meant to be run.
fn programs() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["examples", "examples/seed"] {
        for entry in fs::read_dir(file(folder)).unwrap() {
            let path = entry.unwrap().path();
            let is_program = match path.extension().and_then(|extension| extension.to_str()) {
                Some("mjs") => true,
                Some("py") => fs::read_to_string(&path).unwrap().contains("__main__"),
                _ => false,
            };
            if is_program {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

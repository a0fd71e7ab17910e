//! What newcomers run: the programs of `examples/`, and what the README tells them to type.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::{Server, home, real};
use crate::process::run;
use crate::programs::{file, runs};

/// Two of the programs ask for up to 2,048 and 4,096 tokens and take what the model cares to
/// say; a short context makes it short.
const SHORT: &str =
    r#"worker.engines=[{kind="local", serves=["deepseek-chat"], threads=1, context_length=256}]"#;

/// Each with the variables of `demo.env` alone, as a shell reads them.
#[tokio::test]
async fn every_example_runs_to_its_end() {
    let mut programs = programs();
    assert!(programs.len() >= 12, "{programs:?}");
    let folder = tempfile::tempdir().unwrap();
    programs.push(readmes_program(folder.path()));
    let server = real(&home(), &["--set", SHORT]).await;
    for program in programs {
        let printed = runs(&server, &program, Duration::from_secs(120)).await;
        assert!(!printed.trim().is_empty(), "{}", program.display());
    }
    readmes_commands_answer(&server, folder.path()).await;
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

/// The program in the README, as a reader copies it.
fn readmes_program(folder: &Path) -> PathBuf {
    let readme = fs::read_to_string(file("README.md")).unwrap();
    let (_, program) = readme.split_once("\n```python\n").unwrap();
    let (program, _) = program.split_once("\n```\n").unwrap();
    let path = folder.join("readme.py");
    fs::write(&path, program).unwrap();
    path
}

/// The commands for a second shell, in a folder with the first one's `.fathom`.
async fn readmes_commands_answer(server: &Server, folder: &Path) {
    let readme = fs::read_to_string(file("README.md")).unwrap();
    let (_, commands) = readme.split_once("\nIn another shell:\n\n").unwrap();
    let commands = commands.lines().map_while(|line| line.strip_prefix("    "));
    let commands = commands.collect::<Vec<_>>().join("\n");
    assert!(commands.contains("curl"), "{commands}");
    symlink(server.home.path(), folder.join(".fathom")).unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-c", &commands]).current_dir(folder);
    let output = run(shell, Duration::from_secs(60)).await;
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains(r#""role":"assistant","content":"#),
        "{output:?}"
    );
}

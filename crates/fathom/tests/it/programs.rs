//! Programs in Python and for Node, over libraries that know nothing of this project.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::Server;
use crate::process::{run, test_path};

/// Runs a program to its end with the variables of `demo.env` alone, as a shell reads them; what
/// it printed.
pub async fn runs(server: &Server, program: &Path, limit: Duration) -> String {
    let interpreter = match program.extension() {
        Some(extension) if extension == "mjs" => test_path("FATHOM_TEST_NODE"),
        _ => test_path("FATHOM_TEST_PYTHON"),
    };
    assert!(interpreter.exists(), "no {interpreter:?}: run `make test`");
    // Node looks for packages beside the program.
    let folder = TempDir::new().unwrap();
    let copy = folder.path().join(program.file_name().unwrap());
    let program = if interpreter == test_path("FATHOM_TEST_NODE") {
        fs::copy(program, &copy).unwrap();
        let packages = test_path("FATHOM_TEST_NODE_MODULES");
        symlink(packages, folder.path().join("node_modules")).unwrap();
        &copy
    } else {
        program
    };
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"set -a; . "$0"; exec "$@""#]);
    shell.arg(server.demo_file()).arg(interpreter).arg(program);
    shell.env_clear().env("PYTHONDONTWRITEBYTECODE", "1");
    shell.env("FATHOM_GRPC", server.grpc());
    let output = run(shell, limit).await;
    let (printed, complaint) = (&output.stdout, &output.stderr);
    assert!(
        output.status.success(),
        "{}: {}\n{}\n{}",
        program.display(),
        output.status,
        String::from_utf8_lossy(printed),
        String::from_utf8_lossy(complaint),
    );
    String::from_utf8(printed.clone()).unwrap()
}

/// A file of this repository.
pub fn file(path: &str) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    repository.join(path).canonicalize().unwrap()
}

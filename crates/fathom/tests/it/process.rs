//! Processes: started for one test, looked at through `/proc`, and never left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// A variable that `make test` sets.
#[expect(
    clippy::disallowed_methods,
    reason = "only the test run knows where the model and Python are"
)]
pub fn test_path(name: &str) -> PathBuf {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: run `make test`"))
        .into()
}

/// Asks again and again until `probe` gives something, and fails when it gives nothing within
/// `limit`. The one place that waits.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The binary, with `home` as its data folder and no other configuration.
pub fn fathom(home: &Path, arguments: &[impl AsRef<str>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fathom"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FATHOM") {
            command.env_remove(name);
        }
    }
    command.args(arguments.iter().map(AsRef::as_ref));
    command.env("FATHOM_HOME", home).stdin(Stdio::null());
    // The one address that hardly any test asks for; its default is one for all of them.
    command.env("FATHOM__GATEWAY__GRPC_LISTEN", "127.0.0.1:0");
    command
}

/// Runs a program that ends by itself.
pub async fn run(command: Command, limit: Duration) -> Output {
    let what = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    match timeout(limit, command.kill_on_drop(true).output()).await {
        Ok(output) => output.unwrap(),
        Err(_) => panic!("still running after {limit:?}: {what}"),
    }
}

/// Sends a signal, by its name.
pub fn signal(pid: u32, name: &str) {
    let mut kill = Command::new("kill");
    let sent = kill.args([format!("-{name}"), pid.to_string()]).status();
    assert!(sent.unwrap().success(), "no {name} to process {pid}");
}

/// Whether the process runs; one that is dead and not buried does not.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !["Z", "X"].contains(&state.as_str()))
}

/// The processes that `parent` started.
pub fn children_of(parent: u32) -> Vec<u32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| stat(pid).is_some_and(|(_, of)| of == parent) && is_alive(pid))
        .collect()
}

/// State and parent of a process.
fn stat(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, spaces and brackets too.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// Kills a process, and removes its folder, when the test run ends, however it ends: a value in
/// a `static` is never dropped.
pub struct Leash(Child);

impl Leash {
    pub fn new(pid: u32, folder: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            r#"cat; kill -KILL "$0"; rm -rf "$1""#,
            &pid.to_string(),
        ]);
        shell.arg(folder).stdin(Stdio::piped());
        shell.stdout(Stdio::null()).stderr(Stdio::null());
        Self(shell.spawn().unwrap())
    }
}

impl Drop for Leash {
    /// The process is dead, and its number may be another's by now.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

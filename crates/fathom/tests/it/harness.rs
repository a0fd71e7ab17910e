//! `fathom up` in a data folder of its own.

use std::fs::{self, File};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fathom_client::Client;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::time::Instant;

use crate::process::{Leash, children_of, eventually, fathom, signal, test_path};

/// How long a start may take, on a machine that compiles at the same time.
const START: Duration = Duration::from_secs(30);

/// The right of one test to compute: several models at a time would only slow one another down.
static TURN: Mutex<()> = Mutex::const_new(());

static SHARED: OnceCell<Server> = OnceCell::const_new();
static HOME: LazyLock<Arc<TempDir>> = LazyLock::new(home);

/// The real model as it is tested: on one thread, because llama.cpp's threads wait for each other
/// in busy loops, and a second test on the same processors stops them all.
pub const REAL: &str = r#"worker.engines=[{kind="local", serves=["deepseek-chat", "deepseek-code", "deepseek-math"], threads=1}]"#;

/// A setting for a simulated engine with these options.
pub fn sim(options: &str) -> String {
    format!(r#"worker.engines=[{{kind="sim", serves=["deepseek-chat"], {options}}}]"#)
}

/// A running `fathom up`, killed when it is dropped.
pub struct Server {
    process: Child,
    _leash: Leash,
    _turn: Option<MutexGuard<'static, ()>>,
    pub home: Arc<TempDir>,
    /// How long it took until it was ready.
    pub ready_after: Duration,
}

/// The one server of all tests that leave it as it was.
pub struct Shared {
    _turn: MutexGuard<'static, ()>,
    server: &'static Server,
}

impl Deref for Shared {
    type Target = Server;

    fn deref(&self) -> &Server {
        self.server
    }
}

/// The shared server, which nobody else uses for the time being.
pub async fn shared() -> Shared {
    let turn = TURN.lock().await;
    let start = || Server::ready(&HOME, &["--set", REAL]);
    let server = SHARED.get_or_init(start).await;
    Shared {
        _turn: turn,
        server,
    }
}

/// A server of the test's own with the real model.
pub async fn real(home: &Arc<TempDir>, arguments: &[&str]) -> Server {
    let turn = TURN.lock().await;
    let mut server = Server::ready(home, arguments).await;
    server._turn = Some(turn);
    server
}

/// An empty data folder.
pub fn home() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

impl Server {
    /// Starts it. Settings in `arguments` win over the harness's own.
    pub fn launch(home: &Arc<TempDir>, arguments: &[&str]) -> Self {
        Self::launch_with(home, arguments, &[])
    }

    /// Starts it with `variables` in its environment.
    pub fn launch_with(
        home: &Arc<TempDir>,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let models = test_path("FATHOM_TEST_MODELS");
        let admin = home.path().join("admin.sock");
        let grpc = home.path().join("grpc.sock");
        let mut all = vec!["up".to_owned()];
        for setting in [
            "gateway.listen=127.0.0.1:0".to_owned(),
            format!("gateway.grpc_listen=unix:{}", grpc.display()),
            format!("gateway.admin_listen=unix:{}", admin.display()),
            format!("worker.model_dir={}", models.display()),
        ] {
            all.extend(["--set".to_owned(), setting]);
        }
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let mut command = fathom(home.path(), &all);
        command.envs(variables.iter().copied());
        command.stdout(File::create(home.path().join("out")).unwrap());
        command.stderr(File::create(home.path().join("log")).unwrap());
        let process = command.spawn().unwrap();
        Self {
            _leash: Leash::new(process.id(), home.path()),
            process,
            _turn: None,
            home: home.clone(),
            ready_after: Duration::ZERO,
        }
    }

    /// Starts it and waits until it says that it is ready.
    pub async fn ready(home: &Arc<TempDir>, arguments: &[&str]) -> Self {
        Self::launch(home, arguments).when_ready().await
    }

    /// Waits until it says that it is ready.
    pub async fn when_ready(self) -> Self {
        let begun = Instant::now();
        let mut server = self;
        eventually("the server is ready", START, async || {
            assert_eq!(server.process.try_wait().unwrap(), None, "it has ended");
            server.output().contains("Fathom is ready.").then_some(())
        })
        .await;
        server.ready_after = begun.elapsed();
        server
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The process that the model is in.
    pub fn engine_pid(&self) -> Option<u32> {
        children_of(self.pid()).first().copied()
    }

    /// A value of `demo.env`.
    pub fn demo(&self, name: &str) -> String {
        let text = fs::read_to_string(self.demo_file()).unwrap();
        let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned());
        text.lines().find_map(value).unwrap()
    }

    pub fn demo_file(&self) -> PathBuf {
        self.home.path().join("demo.env")
    }

    /// Where it takes calls of gRPC, as clients name it.
    pub fn grpc(&self) -> String {
        format!("unix:{}", self.home.path().join("grpc.sock").display())
    }

    pub fn base_url(&self) -> String {
        self.demo("FATHOM_BASE_URL")
    }

    /// IP and port.
    pub fn address(&self) -> String {
        self.base_url().replace("http://", "")
    }

    pub fn client(&self) -> Client {
        Client::new(self.base_url(), self.demo("FATHOM_API_KEY").into())
    }

    /// What it has written to standard output.
    pub fn output(&self) -> String {
        fs::read_to_string(self.home.path().join("out")).unwrap()
    }

    /// What it and its child have written to standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    /// Tells it to stop.
    pub fn terminate(&self) {
        signal(self.pid(), "TERM");
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let ended = async || self.process.try_wait().unwrap();
        eventually("the server has ended", limit, ended).await
    }

    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Asks the server's admin port, or with `run/worker-0.admin.sock` that of its engine. None
    /// while nobody listens.
    pub async fn admin(&self, socket: &str, path: &str) -> Option<(u16, String)> {
        let http = reqwest::Client::builder().unix_socket(self.home.path().join(socket));
        let url = format!("http://admin{path}");
        let answer = http.build().unwrap().get(url).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// A gauge of the process that the model is in.
    pub async fn engine_gauge(&self, name: &str) -> Option<f64> {
        let (_, metrics) = self.admin("run/worker-0.admin.sock", "/metrics").await?;
        let line = metrics.lines().find(|line| line.starts_with(name))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
        // Both fail on a server that has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

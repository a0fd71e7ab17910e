//! `fathom up` in a data folder of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use fathom_client::Client;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::process::{Leash, children_of, eventually, fathom, signal, test_path};

/// How long a start may take, on a machine that compiles at the same time.
const START: Duration = Duration::from_secs(30);

/// The right of one test to compute: several models at a time would only slow one another down.
static TURN: Mutex<()> = Mutex::const_new(());

static SHARED: OnceCell<Server> = OnceCell::const_new();

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
    /// What `demo.env` holds.
    pub demo: BTreeMap<String, String>,
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
    let server = SHARED
        .get_or_init(async || Server::start(&home(), &["--set", REAL]).await)
        .await;
    Shared {
        _turn: turn,
        server,
    }
}

/// A server of the test's own, with the real model unless `arguments` say otherwise.
pub async fn real(home: &Arc<TempDir>, arguments: &[&str]) -> Server {
    let turn = TURN.lock().await;
    let server = Server::start(home, arguments).await;
    Server { turn: Some(turn), ..server }
}

/// An empty data folder.
pub fn home() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

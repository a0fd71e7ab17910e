//! One role in a process of its own.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use fathom_kit::net::ListenAddress;
use tokio::time::{Instant, sleep};

use crate::Config;
use crate::drill::metrics::Metrics;

/// How soon a change is seen.
const LOOK: Duration = Duration::from_millis(20);
/// How long one look may take.
const ANSWER: Duration = Duration::from_secs(2);

/// A process, killed when this is dropped. It is told by its standard input when whoever started
/// it is gone, and then drains by itself.
pub struct Node {
    /// Unique in its fleet.
    pub name: String,
    /// Where it is said to be.
    pub zone: Option<String>,
    /// `http://HOST:PORT` of what it serves.
    pub url: String,
    admin: String,
    role: &'static str,
    binary: PathBuf,
    home: PathBuf,
    http: reqwest::Client,
    child: Option<Child>,
}

impl Node {
    /// Writes its configuration; it does not run yet.
    ///
    /// # Errors
    /// The folder `home` cannot be written.
    pub fn new(
        name: String,
        role: &'static str,
        binary: &Path,
        config: &Config,
    ) -> anyhow::Result<Self> {
        let (listen, admin) = match role {
            "gateway" => (&config.gateway.listen, &config.gateway.admin_listen),
            "auth" => (&config.auth.listen, &config.auth.admin_listen),
            "router" => (&config.router.listen, &config.router.admin_listen),
            _ => (&config.worker.listen, &config.worker.admin_listen),
        };
        let node = Self {
            url: url(listen),
            admin: url(admin),
            zone: (role == "worker")
                .then(|| config.worker.zone.clone())
                .flatten(),
            name,
            role,
            binary: binary.to_owned(),
            home: config.home.clone(),
            http: reqwest::Client::builder().timeout(ANSWER).build()?,
            child: None,
        };
        std::fs::write(node.file("toml"), toml::to_string(config)?)?;
        Ok(node)
    }

    /// Starts the process, or starts it again.
    ///
    /// # Errors
    /// The system's.
    pub fn start(&mut self) -> io::Result<()> {
        let log = self.log_file()?;
        let mut command = Command::new(&self.binary);
        for name in fathom_kit::config::variables() {
            command.env_remove(name);
        }
        let child = command
            .args([self.role, "--supervised", "--config"])
            .arg(self.file("toml"))
            .env("FATHOM_HOME", &self.home)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends the process by a signal that it cannot catch. It may take a moment to be gone.
    ///
    /// # Errors
    /// The system's.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.as_mut().map_or(Ok(()), Child::kill)
    }

    /// Its number; `None`: it was never started.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// How it ended; `None`: it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// It runs longer than `limit`.
    pub async fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if begun.elapsed() > limit {
                bail!("{} still runs after {limit:?}", self.name);
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// It ends, or is not ready within `limit`; with the last lines of its log.
    pub async fn ready(&mut self, limit: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            if self.is_ready().await {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                bail!("{} has ended ({status}):\n{}", self.name, self.last_words());
            }
            if begun.elapsed() > limit {
                let words = self.last_words();
                bail!("{} is not ready after {limit:?}:\n{words}", self.name);
            }
            sleep(LOOK).await;
        }
    }

    /// Whether `/readyz` says so.
    pub async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("{}/readyz", self.admin)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// What keeps it from being ready, as `/readyz` says; `None`: nothing does, or it says nothing.
    pub async fn missing(&self) -> Option<String> {
        let answer = self.http.get(format!("{}/readyz", self.admin)).send().await;
        let answer = answer.ok().filter(|answer| !answer.status().is_success())?;
        answer.text().await.ok()
    }

    /// What it measures now.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        let answer = self
            .http
            .get(format!("{}/metrics", self.admin))
            .send()
            .await;
        let text = answer.with_context(|| format!("{} does not answer", self.name))?;
        Ok(Metrics::new(text.text().await?))
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    fn log_file(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).open(self.file("log"))
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.home.join(format!("{}.{kind}", self.name))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail on a process that has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn url(address: &ListenAddress) -> String {
    format!("http://{address}")
}

//! CLOCK-1: processes whose clocks are apart. The monotonic clock is everybody's own.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::home;
use crate::process::{Leash, eventually, fathom, test_path};

const START: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(5);

/// So short that a clock that is too slow makes tokens that are over.
const LIFETIME: &str = "auth.token_lifetime=10s";

/// What the log says of a token that is outside its times.
const OUTSIDE: &str = "jwt outside its times";

/// One role a process, on Unix sockets in one folder.
struct Cluster {
    home: Arc<TempDir>,
    processes: Vec<(Child, Leash)>,
}

impl Cluster {
    /// `auth_clock` and `gateway_clock` are seconds that each is ahead of this machine.
    async fn start(auth_clock: i64, gateway_clock: i64) -> Self {
        let mut cluster = Self {
            home: home(),
            processes: Vec::new(),
        };
        for (role, seconds) in [
            ("auth", auth_clock),
            ("router", 0),
            ("gateway", gateway_clock),
        ] {
            cluster.set_clock(role, seconds);
            cluster.launch(role);
        }
        for role in ["auth", "router", "gateway"] {
            let what = format!("{role} is ready");
            eventually(&what, START, async || {
                cluster
                    .has_answer(&format!("{role}.admin.sock"), "/readyz")
                    .await
            })
            .await;
        }
        // From now on the gateway verifies tokens by itself.
        eventually("the gateway has the keys", START, async || {
            cluster
                .has_answer("gateway.sock", "/.well-known/jwks.json")
                .await
        })
        .await;
        cluster
    }

    fn launch(&mut self, role: &str) {
        let mut arguments = vec![role.to_owned()];
        let socket = |name: &str| format!("unix:{}", self.path(name).display());
        for (key, value) in [
            ("auth.listen", socket("auth.sock")),
            ("auth.admin_listen", socket("auth.admin.sock")),
            ("router.listen", socket("router.sock")),
            ("router.admin_listen", socket("router.admin.sock")),
            ("gateway.listen", socket("gateway.sock")),
            ("gateway.admin_listen", socket("gateway.admin.sock")),
            ("gateway.auth", socket("auth.sock")),
            ("gateway.router", socket("router.sock")),
            ("telemetry.format", "json".to_owned()),
            (
                "auth.demo_credentials",
                self.path("demo.env").display().to_string(),
            ),
        ] {
            arguments.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
        arguments.extend(["--set".to_owned(), LIFETIME.to_owned()]);
        let mut command = fathom(self.home.path(), &arguments);
        command
            .env("LD_PRELOAD", test_path("FATHOM_TEST_FAKETIME"))
            .env("FAKETIME_TIMESTAMP_FILE", self.clock(role))
            // The file is read again at each look at the clock.
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
        let log = File::create(self.log_file(role)).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap();
        let leash = Leash::new(process.id(), self.home.path());
        self.processes.push((process, leash));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn clock(&self, role: &str) -> PathBuf {
        self.path(&format!("{role}.clock"))
    }

    fn log_file(&self, role: &str) -> PathBuf {
        self.path(&format!("{role}.log"))
    }

    /// Sets how many seconds a role is ahead of this machine, now and while it runs.
    fn set_clock(&self, role: &str, seconds: i64) {
        let new = self.path("new.clock");
        fs::write(&new, format!("{seconds:+}\n")).unwrap();
        fs::rename(new, self.clock(role)).unwrap();
    }

    fn get(&self, socket: &str, path: &str) -> RequestBuilder {
        self.client(socket).get(format!("http://fathom{path}"))
    }

    fn client(&self, socket: &str) -> Client {
        let http = Client::builder().unix_socket(self.path(socket));
        http.build().unwrap()
    }

    async fn has_answer(&self, socket: &str, path: &str) -> Option<()> {
        let answer = self.get(socket, path).send().await.ok()?;
        answer.status().is_success().then_some(())
    }

    /// A value of `demo.env`.
    fn demo(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path("demo.env")).unwrap();
        let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned());
        text.lines().find_map(value).unwrap()
    }

    /// A new access token.
    async fn token(&self) -> String {
        let request = self
            .client("gateway.sock")
            .post("http://fathom/oauth/token")
            .basic_auth(
                self.demo("FATHOM_CLIENT_ID"),
                Some(self.demo("FATHOM_CLIENT_SECRET")),
            )
            .form(&[("grant_type", "client_credentials")]);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// What the gateway says to a credential.
    async fn status(&self, credential: &str) -> StatusCode {
        let request = self.get("gateway.sock", "/v1/models");
        let answer = request.bearer_auth(credential).send().await.unwrap();
        answer.status()
    }

    /// How many requests the gateway's log says were refused for the times of their token.
    fn outside(&self) -> usize {
        let log = fs::read_to_string(self.log_file("gateway")).unwrap();
        let lines = log.lines().map(serde_json::from_str::<Value>);
        lines
            .filter(|line| {
                let line = line.as_ref().unwrap();
                line["message"] == "request ended" && line["refusal"] == OUTSIDE
            })
            .count()
    }

    async fn assert_refused(&self, token: &str) {
        let before = self.outside();
        assert_eq!(self.status(token).await, StatusCode::UNAUTHORIZED);
        let said = async || (self.outside() == before + 1).then_some(());
        eventually("the log says why", SOON, said).await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for role in ["auth", "router", "gateway"] {
            if std::thread::panicking() {
                let log = fs::read_to_string(self.log_file(role)).unwrap_or_default();
                eprintln!("the log of {role}:\n{log}");
            }
        }
        for (process, _) in &mut self.processes {
            // Both fail on a process that has ended.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// CLOCK-1: half a minute is no trouble.
#[tokio::test]
async fn tokens_of_an_auth_service_half_a_minute_off_are_taken() {
    for seconds in [30, -30] {
        let cluster = Cluster::start(seconds, 0).await;
        let token = cluster.token().await;
        assert_eq!(cluster.status(&token).await, StatusCode::OK, "{seconds} s");
    }
}

/// CLOCK-1: beyond a minute they are refused, and the log says why.
#[tokio::test]
async fn tokens_of_an_auth_service_further_off_are_refused_and_the_log_says_why() {
    for seconds in [90, -90, 3600] {
        let cluster = Cluster::start(seconds, 0).await;
        let token = cluster.token().await;
        cluster.assert_refused(&token).await;
        // What has no times is as good as ever.
        let key = cluster.demo("FATHOM_API_KEY");
        assert_eq!(cluster.status(&key).await, StatusCode::OK, "{seconds} s");
    }
}

/// CLOCK-1: time-outs and what is remembered do not hang on the clock that is set.
#[tokio::test]
async fn a_gateway_whose_clock_is_set_back_goes_on_and_refuses_tokens_until_it_is_right() {
    let cluster = Cluster::start(0, 0).await;
    let key = cluster.demo("FATHOM_API_KEY");
    let token = cluster.token().await;
    assert_eq!(cluster.status(&token).await, StatusCode::OK);
    assert_eq!(cluster.status(&key).await, StatusCode::OK);

    cluster.set_clock("gateway", -3600);
    let token = cluster.token().await;
    cluster.assert_refused(&token).await;
    assert_eq!(cluster.status(&key).await, StatusCode::OK);
    let ready = cluster.has_answer("gateway.admin.sock", "/readyz").await;
    assert_eq!(ready, Some(()));

    cluster.set_clock("gateway", 0);
    let token = cluster.token().await;
    assert_eq!(cluster.status(&token).await, StatusCode::OK);
}

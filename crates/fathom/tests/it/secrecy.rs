use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use fathom_client::fetch_token;
use futures::{SinkExt, StreamExt};
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::ask::{ask, socket};
use crate::harness::{REAL, Server, home, real};
use crate::process::eventually;

/// Stands in every place that a caller writes to.
pub const CANARY: &str = "cAnArY-7f3a";

/// Our own crates tell all they have.
pub const LOG: &str = "telemetry.log=info,fathom=trace,fathom_auth=trace,fathom_engine=trace,\
                   fathom_gateway=trace,fathom_kit=trace,fathom_proto=trace,fathom_router=trace,fathom_token=trace,\
                   fathom_worker=trace";

/// SEC-40, for the log and the process table.
#[tokio::test]
async fn no_secret_and_no_text_is_logged_and_each_request_leaves_one_line() {
    let server = real(&home(), &["--set", REAL, "--set", LOG]).await;
    let token = access_token(&server).await;
    let (mut ids, mut answers) = (Vec::new(), String::new());
    for request in requests(&server, &token) {
        let answer = request.send().await.unwrap();
        ids.push(
            answer.headers()["x-request-id"]
                .to_str()
                .unwrap()
                .to_owned(),
        );
        answers.push_str(&answer.text().await.unwrap());
    }
    for message in [
        None,
        Some(format!(r#"{{"type": "auth", "token": "Bearer {CANARY}"}}"#)),
        Some(format!(r#"{{"type": "{CANARY}""#)),
    ] {
        let (mut socket, id) = socket(&server).await;
        ids.push(id);
        match message {
            None => ask(&mut socket, &server.demo("FATHOM_API_KEY"), CANARY, 2).await,
            Some(text) => socket.send(Frame::Text(text.into())).await.unwrap(),
        }
        while let Some(Ok(_)) = socket.next().await {}
    }
    // Each of the three sockets has a line for its handshake and one for its answer, and the
    // token's request had no look at its id.
    let expected = ids.len() + 3 + 1;
    let limit = Duration::from_secs(5);
    let lines = eventually("every request has ended", limit, async || {
        let lines = ended(&server);
        (lines.values().sum::<usize>() >= expected).then_some(lines)
    })
    .await;
    assert_eq!(lines.values().sum::<usize>(), expected);
    for id in &ids {
        assert_eq!(lines.get(id), Some(&1), "{id}");
    }
    let engine = server.engine_pid().unwrap();
    let places = [
        ("log", server.log()),
        ("answers", answers),
        (
            "arguments",
            fs::read_to_string(format!("/proc/{engine}/cmdline")).unwrap(),
        ),
        (
            "environment",
            fs::read_to_string(format!("/proc/{engine}/environ")).unwrap(),
        ),
    ];
    let secrets = ["FATHOM_API_KEY", "FATHOM_ADMIN_KEY", "FATHOM_CLIENT_SECRET"];
    let secrets = secrets.map(|name| server.demo(name));
    for (place, text) in &places {
        for secret in secrets.iter().chain([&token]) {
            assert!(!text.contains(secret), "{secret} in {place}");
        }
        // A refusal may quote what the caller wrote to the caller, and to nobody else.
        assert!(
            *place == "answers" || !text.contains(CANARY),
            "the canary in {place}"
        );
    }
}

async fn access_token(server: &Server) -> String {
    let (id, secret) = (
        server.demo("FATHOM_CLIENT_ID"),
        server.demo("FATHOM_CLIENT_SECRET"),
    );
    let token = fetch_token(&server.base_url(), &id, &secret.into()).await;
    token.unwrap().access_token
}

/// Good ones, and one for each kind of refusal.
fn requests(server: &Server, token: &str) -> Vec<RequestBuilder> {
    let http = Client::new();
    let (key, id) = (
        server.demo("FATHOM_API_KEY"),
        server.demo("FATHOM_CLIENT_ID"),
    );
    let url = |path: &str| format!("{}{path}", server.base_url());
    let chat = |body: String| {
        http.post(url("/v1/chat/completions"))
            .header("content-type", "application/json")
            .body(body)
    };
    let body = |model: &str, more: &str| {
        format!(
            r#"{{"model": "{model}", "max_tokens": 2, "messages": [{{"role": "user", "content": "{CANARY}"}}]{more}}}"#
        )
    };
    let good = body("deepseek-chat", "");
    let long = good.replace(CANARY, &format!("{CANARY} ").repeat(3000));
    let admin = server.demo("FATHOM_ADMIN_KEY");
    let form = |secret: &str| {
        [
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", id.clone()),
            ("client_secret", secret.to_owned()),
        ]
    };
    vec![
        chat(good.clone()).bearer_auth(&key),
        chat(good.clone()).bearer_auth(token),
        chat(good.clone()).bearer_auth(&admin),
        chat(body("deepseek-chat", r#", "stream": true"#)).bearer_auth(&key),
        http.post(url("/v1/completions")).bearer_auth(&key).json(
            &serde_json::json!({"model": "deepseek-chat", "prompt": CANARY, "max_tokens": 2}),
        ),
        chat(good.clone()),
        chat(good.clone()).bearer_auth(CANARY),
        chat(good.clone()).bearer_auth(format!("{key}{CANARY}")),
        chat(good.clone()).bearer_auth(format!("{token}{CANARY}")),
        chat(good.clone()).header("authorization", format!("Basic {key}")),
        chat(good[..good.len() - 2].to_owned()).bearer_auth(&key),
        chat(good.replace("2,", &format!("\"{CANARY}\","))).bearer_auth(&key),
        chat(good.replace("user", CANARY)).bearer_auth(&key),
        chat(body(CANARY, "")).bearer_auth(&key),
        chat(body(
            "deepseek-chat",
            &format!(r#", "tools": ["{CANARY}"]"#),
        ))
        .bearer_auth(&key),
        chat(long).bearer_auth(&key),
        chat(body("deepseek-chat", &format!(r#", "user": "{CANARY}""#))).bearer_auth(&key),
        http.post(url("/v1/feedback"))
            .bearer_auth(&key)
            .json(&serde_json::json!({"id": CANARY, "score": 1})),
        http.get(url(&format!("/v1/{CANARY}?key={key}")))
            .bearer_auth(&key),
        http.get(url(&format!("/v1/models/{CANARY}")))
            .bearer_auth(&key),
        http.get(url("/v1/stream")).bearer_auth(&key),
        http.post(url("/oauth/token"))
            .form(&form(&server.demo("FATHOM_CLIENT_SECRET"))),
        http.post(url("/oauth/token")).form(&form(CANARY)),
        http.post(url("/oauth/token"))
            .basic_auth(&id, Some(CANARY))
            .body(CANARY),
    ]
}

/// How many lines `request ended` each request left.
fn ended(server: &Server) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    for line in server.log().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        if line["message"] == "request ended" {
            let id = line["request.id"].as_str().unwrap().to_owned();
            *lines.entry(id).or_default() += 1;
        }
    }
    lines
}

//! Bad requests: the same answer in both wirings, with the same four keys.

use fathom_client::Error;
use fathom_e2e::Cluster;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::in_both_wirings;
use crate::requests::{chat, chat_json};

#[track_caller]
pub fn assert_refused(error: Error, status: u16, code: &str, param: Option<&str>) -> String {
    match error {
        Error::Refused {
            status: s,
            code: c,
            param: p,
            message,
            request_id,
        } => {
            assert_eq!(
                (s, c.as_str(), p.as_deref()),
                (status, code, param),
                "{message}"
            );
            assert!(!request_id.is_empty());
            message
        }
        other => panic!("{other:?}"),
    }
}

in_both_wirings! {
    async fn a_prompt_that_is_too_long_is_told_both_numbers(wiring: Wiring) {
        let cluster =
            Cluster::builder(wiring).sim(|sim| sim.context_length = 100).start().await.unwrap();
        let error = cluster.client().chat(&chat(&"word ".repeat(500))).await.unwrap_err();
        let message = assert_refused(error, 400, "context_length_exceeded", Some("messages"));
        assert!(message.contains("503") && message.contains("100"), "{message}");
    }

    async fn an_unknown_model_is_named(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let mut request = chat("hi");
        request.model = "gpt-4".to_owned();
        let error = cluster.client().chat(&request).await.unwrap_err();
        let message = assert_refused(error, 404, "model_not_found", Some("model"));
        assert!(message.contains("gpt-4"), "{message}");
        let error = cluster.client().model("gpt-4").await.unwrap_err();
        assert_refused(error, 404, "model_not_found", Some("model"));
    }

    async fn a_model_that_nothing_serves_is_503_and_says_when_to_come_again(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let mut body = chat_json("hi");
        body["model"] = "deepseek-math".into();
        let response = reqwest::Client::new()
            .post(format!("{}/v1/chat/completions", cluster.base_url))
            .bearer_auth(cluster.demo.api_key.expose_secret())
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "1");
    }

    async fn a_full_queue_is_503_and_says_when_to_come_again(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| {
                sim.capacity = 1;
                sim.max_queue = 0;
                sim.inter_token = std::time::Duration::from_secs(60);
            })
            .start()
            .await
            .unwrap();
        let client = cluster.client();
        let _running = client.chat_stream(chat("hi")).await.unwrap();
        let error = client.chat(&chat("hi")).await.unwrap_err();
        assert_refused(error, 503, "overloaded", None);
    }

    /// Part of SEC-23: what a proxy might strip or add does not change where a request goes.
    async fn every_odd_path_is_a_404_or_405_with_four_keys(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let http = reqwest::Client::new();
        for (method, path, status) in [
            (Method::GET, "/", 404),
            (Method::GET, "/v1", 404),
            (Method::GET, "//v1/models", 404),
            (Method::GET, "/V1/models", 404),
            (Method::GET, "/v1/models/", 404),
            (Method::GET, "/v1/chat/completions", 405),
            (Method::DELETE, "/v1/models", 405),
            (Method::PUT, "/oauth/token", 405),
            (Method::GET, "/metrics", 404),
        ] {
            let url = format!("{}{path}", cluster.base_url);
            let response = http.request(method.clone(), url).send().await.unwrap();
            assert_eq!(response.status().as_u16(), status, "{method} {path}");
            assert!(response.headers().contains_key("x-request-id"), "{method} {path}");
            let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
            let keys: Vec<_> = body["error"].as_object().unwrap().keys().cloned().collect();
            assert_eq!(keys, ["message", "type", "param", "code"], "{method} {path}");
        }
    }
}

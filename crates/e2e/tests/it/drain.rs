//! Going down: what runs is finished, what is too long is told so, nothing is cut in silence.

use std::time::Duration;

use fathom_client::Error;
use fathom_e2e::Cluster;
use reqwest::StatusCode;
use secrecy::ExposeSecret;

use crate::in_both_wirings;
use crate::requests::{chat, chat_json};

in_both_wirings! {
    /// Part of DRAIN-1
    async fn a_running_stream_is_finished_and_nothing_new_is_begun(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_millis(20))
            .start()
            .await
            .unwrap();
        let client = cluster.client();
        let mut stream = client.chat_stream(chat("hi")).await.unwrap();
        stream.next().await.unwrap().unwrap();
        let rest = async {
            let mut pieces = 1;
            while let Some(chunk) = stream.next().await {
                chunk.unwrap();
                pieces += 1;
            }
            pieces
        };
        let ((), pieces) = tokio::join!(cluster.drain(), rest);
        // The opening, 32 words, the end and the usage.
        assert_eq!(pieces, 35);
        let refused = client.chat(&chat("hi")).await.unwrap_err();
        assert!(matches!(refused, Error::Connection(_)), "{refused:?}");
    }

    /// DRAIN-2
    async fn a_stream_that_outlives_the_deadline_ends_with_an_error(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_secs(60))
            .grace(Duration::from_millis(200))
            .start()
            .await
            .unwrap();
        let mut stream = cluster.client().chat_stream(chat("hi")).await.unwrap();
        let read = async {
            loop {
                match stream.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return error,
                    None => panic!("the stream must not look complete"),
                }
            }
        };
        let ((), error) = tokio::join!(cluster.drain(), read);
        assert!(matches!(&error, Error::Failed { code, .. } if code == "server_shutdown"), "{error:?}");
    }

    /// DRAIN-2: on the wire, where SDKs do not look.
    async fn a_stream_that_outlives_the_deadline_is_told_when_to_come_again(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_secs(60))
            .grace(Duration::from_millis(200))
            .start()
            .await
            .unwrap();
        let mut body = chat_json("hi");
        body["stream"] = true.into();
        let url = format!("{}/v1/chat/completions", cluster.base_url);
        let request = reqwest::Client::new().post(url).json(&body);
        let request = request.bearer_auth(cluster.demo.api_key.expose_secret());
        let answer = request.send().await.unwrap();
        let ((), text) = tokio::join!(cluster.drain(), answer.text());
        let text = text.unwrap();
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        assert!(last.starts_with("retry: 1000\ndata: {\"error\""), "{last}");
        assert!(last.contains("server_shutdown"), "{last}");
    }

    async fn a_draining_edge_says_that_it_wants_no_traffic(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let ask = async |path: &str| {
            let response = reqwest::get(format!("{}{path}", cluster.admin_url)).await.unwrap();
            (response.status(), response.text().await.unwrap())
        };
        assert_eq!(ask("/livez").await.0, StatusCode::OK);
        assert_eq!(ask("/readyz").await.0, StatusCode::OK);
        assert!(ask("/metrics").await.1.contains("fathom_"));
        cluster.drain().await;
        let (status, why) = ask("/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(why.contains("running"), "{why}");
        assert_eq!(ask("/livez").await.0, StatusCode::OK);
    }
}

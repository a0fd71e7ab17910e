//! What a worker serves changes while it runs, and nobody who is being served notices.

use std::time::Duration;

use fathom_e2e::{Cluster, eventually};
use fathom_proto::engines::Engines;
use fathom_worker::{EngineConfig, SimConfig};
use futures::future::join_all;

use crate::errors::assert_refused;
use crate::in_both_wirings;
use crate::requests::chat;

const LIMIT: Duration = Duration::from_secs(10);

in_both_wirings! {
    async fn a_swap_drops_no_running_stream(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_millis(10))
            .start()
            .await
            .unwrap();
        let client = cluster.client();
        let alone = client.chat(&chat("hi")).await.unwrap();
        let mut streams = Vec::new();
        for _ in 0..5 {
            let mut stream = client.chat_stream(chat("hi")).await.unwrap();
            stream.next().await.unwrap().unwrap();
            streams.push(stream);
        }
        let shorter = SimConfig {
            serves: vec!["deepseek-chat".to_owned()],
            tokens: 5,
            context_length: 4096,
            ..SimConfig::default()
        };
        cluster.worker.serve(EngineConfig::Sim(shorter)).await.unwrap();
        let swapped = client.chat(&chat("hi")).await.unwrap();
        assert_eq!(swapped.usage.completion_tokens, 5);
        let texts = join_all(streams.into_iter().map(async |mut stream| {
            let mut text = String::new();
            while let Some(chunk) = stream.next().await {
                for choice in chunk.unwrap().choices {
                    text.push_str(&choice.delta.content.unwrap_or_default());
                }
            }
            text
        }));
        for text in texts.await {
            assert_eq!(Some(text.as_str()), alone.choices[0].message.content.as_deref());
        }
        // The list of models follows with the announcement, not with the next heartbeat.
        let mut shown = 0;
        while shown != 4096 {
            shown = client.model("deepseek-chat").await.unwrap().fathom.context_length;
        }
    }

    async fn what_is_unloaded_is_refused_and_what_is_loaded_is_served(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let client = cluster.client();
        cluster.worker.unload(&"deepseek-chat".into()).await.unwrap();
        let mut math = chat("hi");
        math.model = "deepseek-math".to_owned();
        let sim = SimConfig {
            serves: vec!["deepseek-math".to_owned()],
            ..SimConfig::default()
        };
        cluster.worker.serve(EngineConfig::Sim(sim)).await.unwrap();
        assert!(client.chat(&math).await.is_ok(), "it waits for the announcement");
        let error = client.chat(&chat("hi")).await.unwrap_err();
        assert_refused(error, 503, "unavailable", None);
        eventually("nothing runs", LIMIT, || cluster.load().running == 0).await;
    }
}

//! What a caller gets: whole, streamed, on every path, and always the same text.

use fathom_api::usage::{FinishReason, Usage};
use fathom_e2e::Cluster;

use crate::in_both_wirings;
use crate::requests::{chat, completion};

in_both_wirings! {
    async fn a_streamed_answer_is_the_whole_answer_in_pieces(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let client = cluster.client();
        let whole = client.chat(&chat("one two three")).await.unwrap();
        let choice = &whole.choices[0];
        assert_eq!(choice.finish_reason, FinishReason::Stop);

        let mut stream = client.chat_stream(chat("one two three")).await.unwrap();
        let (mut text, mut usage, mut reason, mut ids) = (String::new(), None, None, Vec::new());
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.unwrap();
            ids.push(chunk.id.clone());
            for choice in chunk.choices {
                text.push_str(&choice.delta.content.unwrap_or_default());
                reason = choice.finish_reason.or(reason);
            }
            usage = chunk.usage.flatten().or(usage);
        }
        ids.dedup();
        assert_eq!(ids.len(), 1, "one id in all chunks");
        assert_eq!(Some(text.as_str()), choice.message.content.as_deref());
        assert_eq!(reason, Some(FinishReason::Stop));
        assert_eq!(usage, Some(whole.usage));
        // Three words, and three for the turn.
        assert_eq!(whole.usage, Usage::new(6, 0, 32, 0));
        assert_eq!(text.split_whitespace().count(), 32);
    }

    async fn a_completion_is_the_same_with_and_without_v1(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let client = cluster.client();
        let mut request = completion("once upon a time");
        request.max_tokens = Some(5);
        let whole = client.complete(&request).await.unwrap();
        assert_eq!(whole.choices[0].finish_reason, Some(FinishReason::Length));
        assert_eq!(whole.usage, Some(Some(Usage::new(4, 0, 5, 0))));

        let mut stream = client.complete_stream(request.clone()).await.unwrap();
        let mut text = String::new();
        while let Some(event) = stream.next().await {
            text.extend(event.unwrap().choices.into_iter().map(|choice| choice.text.into_owned()));
        }
        assert_eq!(text, whole.choices[0].text);

        let key = secrecy::ExposeSecret::expose_secret(&cluster.demo.api_key).to_owned();
        let bare = reqwest::Client::new()
            .post(format!("{}/completions", cluster.base_url))
            .bearer_auth(key)
            .json(&request)
            .send()
            .await
            .unwrap();
        let bare: serde_json::Value = serde_json::from_slice(&bare.bytes().await.unwrap()).unwrap();
        assert_eq!(bare["choices"][0]["text"], text);
    }

    async fn the_completion_default_is_sixteen_tokens(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let answer = cluster.client().complete(&completion("hi")).await.unwrap();
        assert_eq!(answer.usage, Some(Some(Usage::new(1, 0, 16, 0))));
    }

    async fn a_stop_text_ends_the_answer_and_is_not_in_it(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let client = cluster.client();
        let whole = client.chat(&chat("hi")).await.unwrap();
        let text = whole.choices[0].message.content.clone().unwrap();
        let stop = text.split_whitespace().nth(3).unwrap().to_owned();
        let mut request = chat("hi");
        request.stop = Some(fathom_api::sampling::OneOrMany::One(stop.clone()));
        let stopped = client.chat(&request).await.unwrap();
        let stopped_text = stopped.choices[0].message.content.clone().unwrap();
        assert_eq!(stopped.choices[0].finish_reason, FinishReason::Stop);
        assert!(text.starts_with(&*stopped_text), "{stopped_text:?} of {text:?}");
        assert!(!stopped_text.contains(&stop));
    }

    async fn the_same_seed_gives_the_same_text(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let client = cluster.client();
        let ask = async |seed| {
            let mut request = chat("hi");
            request.seed = Some(seed);
            let answer = client.chat(&request).await.unwrap();
            answer.choices[0].message.content.clone().unwrap()
        };
        assert_eq!(ask(1).await, ask(1).await);
        assert_ne!(ask(1).await, ask(2).await);
    }

    async fn the_models_say_what_stands_behind_them(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.context_length = 4096)
            .start()
            .await
            .unwrap();
        let models = cluster.client().models().await.unwrap().data;
        let names: Vec<_> = models.iter().map(|model| model.id.as_str()).collect();
        assert_eq!(names, ["deepseek-chat", "deepseek-code", "deepseek-math"]);
        let served = &models[0].fathom;
        assert_eq!(served.backend.as_deref(), Some("sim"));
        assert_eq!(served.context_length, 4096);
        assert_eq!(served.registered_context_length, 32768);
        assert_eq!(models[1].fathom.backend, None);
        assert_eq!(cluster.client().model("deepseek-chat").await.unwrap(), models[0]);
    }
}

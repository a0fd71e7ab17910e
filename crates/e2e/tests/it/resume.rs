//! Streams that are taken up again after their connection broke.

use std::time::Duration;

use fathom_e2e::{Cluster, eventually};
use futures::{SinkExt, StreamExt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::in_both_wirings;
use crate::requests::chat_json;

/// A model that no other test asks, whose counts are therefore those of one test; its wirings take
/// turns.
const COUNTED: &str = "deepseek-math";
static TURN: Mutex<()> = Mutex::const_new(());

/// A client that knows what it has received of a stream, byte by byte.
struct Client<'a> {
    cluster: &'a Cluster,
    http: reqwest::Client,
    model: &'a str,
    /// Events that came whole: their ids and data.
    events: Vec<(String, String)>,
}

impl<'a> Client<'a> {
    fn new(cluster: &'a Cluster, model: &'a str) -> Self {
        Self {
            cluster,
            http: reqwest::Client::new(),
            model,
            events: Vec::new(),
        }
    }

    /// The stream, from its beginning or after the last event that came.
    async fn ask(&self) -> reqwest::Response {
        let mut body = chat_json("hi");
        body["model"] = self.model.into();
        body["stream"] = true.into();
        body["stream_options"] = serde_json::json!({"include_usage": true});
        let url = format!("{}/v1/chat/completions", self.cluster.base_url);
        let request = self.http.post(url).json(&body);
        let request = request.bearer_auth(self.cluster.demo.api_key.expose_secret());
        let request = match self.events.last() {
            None => request.header("x-fathom-resume", "true"),
            Some((id, _)) => request.header("last-event-id", id),
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "after {:?}", self.events.last());
        assert_eq!(answer.headers()["x-fathom-resume"], "true");
        answer
    }

    /// Reads until so many bytes have come, and breaks the connection; whether it was all.
    async fn read(&mut self, bytes: usize) -> bool {
        let mut answer = self.ask().await;
        let mut received = Vec::new();
        while received.len() < bytes
            && let Some(chunk) = answer.chunk().await.unwrap()
        {
            received.extend_from_slice(&chunk);
        }
        received.truncate(bytes);
        let text = String::from_utf8_lossy(&received);
        // What follows the last blank line is the beginning of an event that was cut.
        let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
        for event in whole.split("\n\n").filter(|it| !it.is_empty()) {
            let (id, data) = event.split_once('\n').unwrap();
            let id = id.strip_prefix("id: ").unwrap();
            let data = data.strip_prefix("data: ").unwrap();
            self.events.push((id.to_owned(), data.to_owned()));
        }
        self.events.last().is_some_and(|(_, data)| data == "[DONE]")
    }

    fn chunks(&self) -> Vec<Value> {
        let (done, chunks) = self.events.split_last().unwrap();
        assert_eq!(done.1, "[DONE]");
        let chunks = chunks.iter().map(|(_, data)| serde_json::from_str(data));
        chunks.collect::<Result<_, _>>().unwrap()
    }

    fn text(&self) -> String {
        let chunks = self.chunks();
        let deltas = chunks
            .iter()
            .map(|it| &it["choices"][0]["delta"]["content"]);
        deltas.filter_map(Value::as_str).collect()
    }
}

/// A client that knows what it has received of a lane.
struct Lane<'a> {
    cluster: &'a Cluster,
    id: Option<String>,
    messages: Vec<Value>,
}

impl<'a> Lane<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        Self {
            cluster,
            id: None,
            messages: Vec::new(),
        }
    }

    /// Reads so many messages on a socket of their own, and breaks it; whether it was all.
    async fn read(&mut self, count: usize) -> bool {
        let url = format!(
            "{}/v1/stream",
            self.cluster.base_url.replacen("http", "ws", 1)
        );
        let mut handshake = url.into_client_request().unwrap();
        let bearer = format!("Bearer {}", self.cluster.demo.api_key.expose_secret());
        let headers = handshake.headers_mut();
        headers.insert("authorization", bearer.parse().unwrap());
        let (mut socket, _) = connect_async(handshake).await.unwrap();
        let ask = match &self.id {
            None => json!({
                "type": "response.create", "stream_id": "a", "request": chat_json("hi"),
                "resume": true,
            }),
            Some(id) => {
                let mut from = json!({"id": id});
                if let Some(last) = self.messages.last() {
                    from["seq"] = last["seq"].clone();
                }
                json!({"type": "response.resume", "stream_id": "a", "resume_from": from})
            }
        };
        socket.send(Message::text(ask.to_string())).await.unwrap();
        let mut left = count;
        while left > 0 || self.id.is_none() {
            let Message::Text(text) = socket.next().await.unwrap().unwrap() else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).unwrap();
            match message["type"].as_str().unwrap() {
                "created" => {
                    assert_eq!(message["resume"], true);
                    self.id = Some(message["id"].as_str().unwrap().to_owned());
                    continue;
                }
                "chunk" => self.messages.push(message),
                "done" => {
                    self.messages.push(message);
                    return true;
                }
                _ => panic!("{message}"),
            }
            left = left.saturating_sub(1);
        }
        false
    }

    fn text(&self) -> String {
        let deltas = self
            .messages
            .iter()
            .map(|it| &it["data"]["choices"][0]["delta"]["content"]);
        deltas.filter_map(Value::as_str).collect()
    }
}

/// How many tokens of [`COUNTED`] were counted.
async fn tokens(cluster: &Cluster) -> u64 {
    let metrics = reqwest::get(format!("{}/metrics", cluster.admin_url)).await;
    let metrics = metrics.unwrap().text().await.unwrap();
    let is_counted = |line: &&str| {
        line.starts_with("fathom_gateway_tokens_total")
            && line.contains(COUNTED)
            && line.contains("kind=\"completion\"")
    };
    let sample = metrics.lines().find(is_counted);
    sample.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

in_both_wirings! {
    /// The connection breaks after any byte, any number of times: the whole answer comes, and its
    /// tokens count once.
    async fn an_answer_is_whole_however_often_its_connection_breaks(wiring: Wiring) {
        let _turn = TURN.lock().await;
        let cluster = Cluster::builder(wiring)
            .sim(|sim| {
                sim.serves = vec![COUNTED.to_owned()];
                sim.inter_token = Duration::from_millis(1);
            })
            .start()
            .await
            .unwrap();
        let before = tokens(&cluster).await;
        let mut unbroken = Client::new(&cluster, COUNTED);
        assert!(unbroken.read(usize::MAX).await);
        let whole = unbroken.text();
        let length: usize = unbroken.events.iter().map(|(id, data)| id.len() + data.len()).sum();
        let mut completion_tokens = 0;
        let seed = fastrand::u64(..);
        eprintln!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..12 {
            let mut client = Client::new(&cluster, COUNTED);
            // A first event has to come, or else the client asks anew.
            let mut over = client.read(random.usize(400..length)).await;
            for _ in 0..random.usize(0..5) {
                if !over {
                    over = client.read(random.usize(0..length)).await;
                }
            }
            if !over {
                assert!(client.read(usize::MAX).await);
            }
            assert_eq!(client.text(), whole);
            for (number, (id, _)) in client.events.iter().enumerate() {
                assert!(id.ends_with(&format!("-{number}")), "{id} at {number}");
            }
            let chunks = client.chunks();
            let usage = &chunks.last().unwrap()["usage"];
            completion_tokens += usage["completion_tokens"].as_u64().unwrap();
        }
        let usage = &unbroken.chunks().last().unwrap()["usage"].clone();
        completion_tokens += usage["completion_tokens"].as_u64().unwrap();
        let counted = tokens(&cluster).await - before;
        assert_eq!(counted, completion_tokens);
        assert_eq!(cluster.load().running, 0);
    }

    /// The same for a lane, whose socket breaks after any message, any number of times.
    async fn a_lane_is_whole_however_often_its_socket_breaks(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_millis(1))
            .start()
            .await
            .unwrap();
        let seed = fastrand::u64(..);
        eprintln!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut whole = None;
        for attempt in 0..8 {
            let mut lane = Lane::new(&cluster);
            // The first one is not broken.
            while !lane.read(if attempt == 0 { usize::MAX } else { random.usize(0..20) }).await {}
            let text = lane.text();
            assert_eq!(whole.get_or_insert_with(|| text.clone()), &text);
            for (seq, message) in lane.messages.iter().enumerate() {
                assert_eq!(message["seq"], seq);
            }
            let done = lane.messages.last().unwrap();
            assert_eq!(done["usage"]["total_tokens"], 36);
        }
        eventually("nothing runs", Duration::from_secs(5), || cluster.load().running == 0).await;
    }

    /// LIFE-1: a stream that is kept ends when its client says so.
    async fn a_kept_stream_frees_its_slot_when_it_is_cancelled(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_secs(60))
            .start()
            .await
            .unwrap();
        let client = Client::new(&cluster, "deepseek-chat");
        for left in [true, false] {
            let mut answer = Some(client.ask().await);
            assert_eq!(cluster.load().running, 1);
            let id = answer.as_ref().unwrap().headers()["x-request-id"].to_str().unwrap();
            let url = format!("{}/v1/streams/{id}", cluster.base_url);
            if left {
                answer = None;
            }
            let key = cluster.demo.api_key.expose_secret();
            let cancelled = client.http.delete(url).bearer_auth(key).send().await.unwrap();
            assert_eq!(cancelled.status(), 204);
            eventually("the slot is free", Duration::from_millis(250), || cluster.load().running == 0).await;
            if let Some(answer) = answer {
                assert!(answer.bytes().await.is_err(), "an end without `[DONE]` is a cut");
            }
        }
    }

    /// LIFE-1, after the grace.
    async fn a_client_that_does_not_come_back_has_its_slot_for_the_grace(wiring: Wiring) {
        const GRACE: Duration = Duration::from_millis(700);
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_secs(60))
            .config(|config| config.gateway.resume.grace = GRACE)
            .start()
            .await
            .unwrap();
        let mut client = Client::new(&cluster, "deepseek-chat");
        assert!(!client.read(200).await);
        let left = Instant::now();
        eventually("the slot is free", Duration::from_secs(5), || cluster.load().running == 0).await;
        assert!(left.elapsed() >= GRACE / 2, "{:?}", left.elapsed());
    }

    /// DRAIN-1: nobody waits for a client that is away.
    async fn a_server_that_drains_does_not_wait_for_a_stream_that_nobody_reads(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_secs(60))
            .start()
            .await
            .unwrap();
        let mut client = Client::new(&cluster, "deepseek-chat");
        assert!(!client.read(200).await);
        assert_eq!(cluster.load().running, 1);
        let begun = Instant::now();
        cluster.drain().await;
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}

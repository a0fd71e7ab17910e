//! The port for gRPC: it ends, stops and goes down as the routes beside it do.

use std::time::Duration;

use fathom_e2e::{Cluster, Wiring, eventually};
use fathom_proto::pb::inference as pb;
use fathom_proto::pb::inference::completion_service_client::CompletionServiceClient;
use fathom_proto::{Error, ErrorCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use crate::in_both_wirings;
use crate::operator::Operator;

const LONG: Duration = Duration::from_secs(60);
/// GRPC-4
const CANCELLED_WITHIN: Duration = Duration::from_millis(100);
/// Streams of a caller that is shut out end within this time.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

type Answers = Streaming<pb::CreateCompletionResponse>;

/// A cluster with one slot and an engine that never ends by itself.
async fn endless(wiring: Wiring) -> Cluster {
    Cluster::builder(wiring)
        .sim(|sim| {
            sim.capacity = 1;
            sim.inter_token = LONG;
        })
        .start()
        .await
        .unwrap()
}

async fn channel(cluster: &Cluster) -> Channel {
    let endpoint = Endpoint::from_shared(cluster.grpc_url.clone()).unwrap();
    endpoint.connect().await.unwrap()
}

fn request(bearer: &SecretString, stream: bool) -> Request<pb::CreateCompletionRequest> {
    let mut request = Request::new(pb::CreateCompletionRequest {
        model: "deepseek-chat".to_owned(),
        messages: vec![pb::ChatMessage {
            role: pb::ChatRole::User.into(),
            content: "hi".to_owned(),
            ..pb::ChatMessage::default()
        }],
        stream,
        ..pb::CreateCompletionRequest::default()
    });
    let bearer = format!("Bearer {}", bearer.expose_secret());
    request
        .metadata_mut()
        .insert("authorization", bearer.parse().unwrap());
    request
}

async fn ask(
    channel: &Channel,
    request: Request<pb::CreateCompletionRequest>,
) -> Result<Response<Answers>, Status> {
    let mut client = CompletionServiceClient::new(channel.clone());
    client.create_completion(request).await
}

/// A stream whose first piece has come.
async fn begun(cluster: &Cluster, bearer: &SecretString) -> Answers {
    let channel = channel(cluster).await;
    let answers = ask(&channel, request(bearer, true)).await.unwrap();
    let mut answers = answers.into_inner();
    answers.message().await.unwrap().unwrap();
    answers
}

/// Reads until the stream fails.
async fn failure(mut answers: Answers) -> Error {
    loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream must not look complete"),
            Err(status) => return status.into(),
        }
    }
}

async fn idle(cluster: &Cluster) -> Duration {
    eventually("the engine is idle", LONG, || {
        let load = cluster.load();
        (load.running, load.queued) == (0, 0)
    })
    .await
}

in_both_wirings! {
    async fn an_answer_says_what_the_headers_of_rest_say(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let channel = channel(&cluster).await;
        let whole = ask(&channel, request(&cluster.demo.api_key, false)).await.unwrap();
        let metadata = whole.metadata().clone();
        let mut whole = whole.into_inner();
        let answer = whole.message().await.unwrap().unwrap();
        assert!(whole.message().await.unwrap().is_none());
        let id = metadata.get("x-request-id").unwrap().to_str().unwrap();
        assert_eq!(answer.id, format!("chatcmpl-{id}"));
        assert_eq!(metadata.get("x-fathom-model").unwrap(), "deepseek-chat");
        assert!(metadata.contains_key("x-fathom-config-version"));
        assert_eq!(answer.usage.unwrap().completion_tokens, 32);

        let streamed = ask(&channel, request(&cluster.demo.api_key, true)).await.unwrap();
        let mut streamed = streamed.into_inner();
        let mut text = String::new();
        while let Some(piece) = streamed.message().await.unwrap() {
            text.push_str(&piece.choices[0].text);
        }
        assert_eq!(text, answer.choices[0].text);
    }

    /// GRPC-4: who goes away, or gives up by its own deadline, frees the slot at once. The middle
    /// one of several tries counts: another program on the machine may hold up one of them.
    async fn leaving_a_call_frees_the_slot(wiring: Wiring) {
        let cluster = endless(wiring).await;
        let mut times = [Duration::ZERO; 3];
        for time in &mut times {
            let answers = begun(&cluster, &cluster.demo.api_key).await;
            assert_eq!(cluster.load().running, 1);
            drop(answers);
            *time = idle(&cluster).await;
        }
        times.sort();
        assert!(times[1] <= CANCELLED_WITHIN, "{times:?}");

        let channel = channel(&cluster).await;
        for time in &mut times {
            let mut request = request(&cluster.demo.api_key, true);
            request.set_timeout(Duration::from_millis(300));
            let error = match ask(&channel, request).await {
                Ok(answers) => failure(answers.into_inner()).await,
                Err(status) => status.into(),
            };
            assert!([ErrorCode::DeadlineExceeded, ErrorCode::Cancelled].contains(&error.code), "{error:?}");
            *time = idle(&cluster).await;
        }
        times.sort();
        assert!(times[1] <= CANCELLED_WITHIN, "{times:?}");
    }

    /// SEC-12, over gRPC.
    async fn a_stream_ends_with_the_rights_of_its_caller(wiring: Wiring) {
        let cluster = endless(wiring).await;
        let operator = Operator::of(&cluster);
        let (id, key) = operator.tenant_with_key("acme").await;
        let answers = begun(&cluster, &key).await;
        operator.change(&format!("keys/{id}"), json!({"disabled": true})).await;
        let error = timeout(ENDED_WITHIN, failure(answers)).await.unwrap();
        assert_eq!(error.code, ErrorCode::Unauthenticated);
        let channel = channel(&cluster).await;
        let refused = ask(&channel, request(&key, true)).await.unwrap_err();
        assert_eq!(Error::from(refused).code, ErrorCode::Unauthenticated);
    }

    /// A part of DRAIN-1: what runs is finished, and nothing new is begun.
    async fn the_port_drains_with_the_edge(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_millis(20))
            .start()
            .await
            .unwrap();
        let channel = channel(&cluster).await;
        let answers = ask(&channel, request(&cluster.demo.api_key, true)).await.unwrap();
        let mut answers = answers.into_inner();
        let rest = async {
            let mut last = None;
            while let Some(piece) = answers.message().await.unwrap() {
                last = Some(piece);
            }
            last
        };
        let ((), last) = tokio::join!(cluster.drain(), rest);
        assert_eq!(last.unwrap().usage.unwrap().completion_tokens, 32);
        let refused = ask(&channel, request(&cluster.demo.api_key, true)).await.unwrap_err();
        assert!(Error::from(refused).is_unreachable());
    }

    /// DRAIN-2, over gRPC.
    async fn a_stream_that_outlives_the_deadline_ends_with_a_status(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = LONG)
            .grace(Duration::from_millis(200))
            .start()
            .await
            .unwrap();
        let answers = begun(&cluster, &cluster.demo.api_key).await;
        let ((), error) = tokio::join!(cluster.drain(), failure(answers));
        assert_eq!(error.code, ErrorCode::ShuttingDown);
    }
}

use std::collections::VecDeque;
use std::sync::Mutex;

use fathom_proto::inference::{Delta, EmbedInput, FinishReason, Piece, Prompt, Usage};
use tonic::Status;

use super::*;

type Script = Vec<Result<Event, Error>>;

/// Routers that answer the calls in turn, each as it is told; a script of one error alone is what
/// the call itself gets.
struct Routers(Mutex<VecDeque<Script>>);

impl Routers {
    fn failover(scripts: impl IntoIterator<Item = Script>) -> (Arc<Self>, Failover) {
        let routers = Arc::new(Self(Mutex::new(scripts.into_iter().collect())));
        let mut failover = Failover::new(routers.clone());
        failover.budget = Arc::new(TpsBudget::new(BUDGET_WINDOW, 1, 0.2));
        (routers, failover)
    }

    fn unused(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn next(&self) -> Script {
        self.0.lock().unwrap().pop_front().expect("one call more")
    }
}

#[tonic::async_trait]
impl Inference for Routers {
    async fn generate(&self, _: GenerateRequest, _: RequestContext) -> Result<TokenStream, Error> {
        let mut script = self.next();
        if script.len() == 1 && script[0].is_err() {
            return Err(script.remove(0).unwrap_err());
        }
        Ok(Box::pin(stream::iter(script)))
    }

    async fn embed(&self, _: EmbedRequest, _: RequestContext) -> Result<Embeddings, Error> {
        self.next().remove(0).map(|_| Embeddings {
            vectors: vec![vec![1.0]],
            prompt_tokens: 1,
        })
    }
}

fn started() -> Result<Event, Error> {
    Ok(Event::Started {
        prompt_tokens: 3,
        cached_tokens: 0,
        fingerprint: None,
        route: None,
    })
}

fn delta() -> Result<Event, Error> {
    Ok(Event::Delta(Delta {
        piece: Piece::Text("text".to_owned()),
        tokens: 1,
        logprobs: Vec::new(),
        ids: [1].into_iter().collect(),
    }))
}

fn finished() -> Result<Event, Error> {
    Ok(Event::Finished {
        reason: FinishReason::Stop,
        usage: Usage::default(),
    })
}

fn whole() -> Script {
    vec![started(), delta(), finished()]
}

/// What hyper says of a call whose connection closed before it was sent.
fn lost() -> Result<Event, Error> {
    Err(Status::cancelled("connection closed").into())
}

/// What h2 says of a stream that the router, going down, has not taken any more.
fn gone_away() -> Result<Event, Error> {
    let mut status = Status::internal("h2 protocol error");
    status.set_source(Arc::new(std::io::Error::other("go away")));
    Err(status.into())
}

fn unreachable() -> Result<Event, Error> {
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let refused = tonic::ConnectError(Box::new(refused));
    Err(Status::from_error(Box::new(refused)).into())
}

fn context() -> RequestContext {
    RequestContext {
        request_id: fathom_proto::id::RequestId::generate(),
        tenant: "tenant".into(),
        user: "user".into(),
        deadline: Some(Instant::now() + Duration::from_secs(60)),
    }
}

async fn ask(failover: &Failover, context: RequestContext) -> (Vec<Event>, Result<(), Error>) {
    let request = GenerateRequest::new("model".into(), Prompt::Text("hello".to_owned()));
    let mut stream = match failover.generate(request, context).await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, Err(error)),
        }
    }
    (events, Ok(()))
}

fn events(script: Script) -> Vec<Event> {
    script.into_iter().map(Result::unwrap).collect()
}

/// DRAIN-3, LIFE-6: however a router is lost before something is generated, another one answers,
/// and the stream begins once.
#[tokio::test(start_paused = true)]
async fn drain_3_a_router_that_is_lost_before_the_first_text_is_not_noticed() {
    for broken in [
        vec![lost()],
        vec![gone_away()],
        vec![unreachable()],
        vec![started(), lost()],
        vec![started(), gone_away()],
    ] {
        let (routers, failover) = Routers::failover([broken, whole()]);
        let begun = Instant::now();
        let (told, end) = ask(&failover, context()).await;
        end.unwrap();
        assert_eq!(told, events(whole()));
        assert_eq!(routers.unused(), 0);
        assert_eq!(begun.elapsed(), Duration::ZERO, "the first time at once");
    }
}

/// LIFE-6: what the caller has cannot be taken back, so the end is told, as what it is.
#[tokio::test(start_paused = true)]
async fn life_6_a_router_that_is_lost_after_a_text_ends_the_stream_with_worker_failed() {
    for error in [lost(), gone_away()] {
        let (routers, failover) = Routers::failover([vec![started(), delta(), error], whole()]);
        let (told, end) = ask(&failover, context()).await;
        assert_eq!(told, events(vec![started(), delta()]));
        assert_eq!(end.unwrap_err().code, ErrorCode::WorkerFailed);
        assert_eq!(routers.unused(), 1, "it is not asked again");
    }
}

/// DRAIN-3: a router that says no is heard.
#[tokio::test(start_paused = true)]
async fn drain_3_what_a_router_refuses_is_not_asked_again() {
    for code in ErrorCode::ALL {
        // As it comes over the wire.
        let refusal = || Err(Status::from(Error::new(code, "no")).into());
        for script in [vec![refusal()], vec![started(), refusal()]] {
            let (routers, failover) = Routers::failover([script, whole()]);
            let (_, end) = ask(&failover, context()).await;
            assert_eq!(end.unwrap_err().code, code);
            assert_eq!(routers.unused(), 1, "{code}");
        }
    }
}

/// DRAIN-3: with no router left the caller is told soon, and not of its own doing.
#[tokio::test(start_paused = true)]
async fn drain_3_a_call_is_made_four_times_in_all_and_within_its_deadline() {
    let cases = [
        (lost as fn() -> _, ErrorCode::WorkerFailed),
        (gone_away, ErrorCode::WorkerFailed),
        (unreachable, ErrorCode::Unavailable),
    ];
    for (error, code) in cases {
        let (routers, failover) = Routers::failover((0..5).map(|_| vec![error()]));
        let (_, end) = ask(&failover, context()).await;
        assert_eq!(end.unwrap_err().code, code);
        assert_eq!(routers.unused(), 1);
    }
    let (routers, failover) = Routers::failover((0..5).map(|_| vec![unreachable()]));
    let soon = Some(Instant::now() + FIRST_DELAY / 4);
    let context = RequestContext {
        deadline: soon,
        ..context()
    };
    let (_, end) = ask(&failover, context).await;
    end.unwrap_err();
    assert_eq!(routers.unused(), 3, "once more, and then it would be late");
}

/// DRAIN-3: calls that may have run are made again as long as they are few.
#[tokio::test]
async fn drain_3_routers_that_lose_everything_are_not_asked_four_times_as_much() {
    const CALLS: usize = 100;
    let (routers, failover) = Routers::failover((0..4 * CALLS).map(|_| vec![lost()]));
    for _ in 0..CALLS {
        let (_, end) = ask(&failover, context()).await;
        assert_eq!(end.unwrap_err().code, ErrorCode::WorkerFailed);
    }
    let again = 3 * CALLS - routers.unused();
    assert!((10..=40).contains(&again), "{again} of {CALLS}");
}

/// DRAIN-3: so it is with embeddings.
#[tokio::test(start_paused = true)]
async fn drain_3_embeddings_are_asked_for_again() {
    let request = || EmbedRequest {
        model: "model".into(),
        inputs: vec![EmbedInput::Text("hello".to_owned())],
        dimensions: None,
        extra: None,
    };
    let (routers, failover) =
        Routers::failover([vec![unreachable()], vec![gone_away()], vec![started()]]);
    failover.embed(request(), context()).await.unwrap();
    assert_eq!(routers.unused(), 0);
    let (routers, failover) = Routers::failover((0..5).map(|_| vec![lost()]));
    let error = failover.embed(request(), context()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::WorkerFailed);
    assert_eq!(routers.unused(), 1);
    let refusal = Err(Status::from(Error::new(ErrorCode::Overloaded, "no")).into());
    let (routers, failover) = Routers::failover([vec![refusal], vec![started()]]);
    let error = failover.embed(request(), context()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Overloaded);
    assert_eq!(routers.unused(), 1);
}

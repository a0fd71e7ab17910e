use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Mutex;

use fathom_proto::administration::AuditPage;
use fathom_proto::catalog::{Catalog, Model};
use fathom_proto::feedback::{Feedback, Score};
use fathom_proto::id::{ModelId, TenantId};
use fathom_proto::inference::{Delta, EmbedInput, FinishReason, Piece, Prompt, Usage};
use fathom_proto::models::{
    Deploy, ManagedModel, ModelChange, ModelPatch, ModelVersion, Models, NewModel, RollBack, Step,
};
use tonic::Status;

use super::routers::{ASK, LOOK_UP};
use super::*;

type Script = Vec<Result<Event, Error>>;

/// Routers that answer the calls in turn, each as it is told; a script of one error alone is what
/// the call itself gets.
#[derive(Default)]
struct Routers {
    scripts: Mutex<VecDeque<Script>>,
    /// What the name stands for; `None`: it cannot be looked up.
    named: Mutex<Option<BTreeSet<Endpoint>>>,
    /// Addresses where nobody answers.
    down: Mutex<BTreeSet<Endpoint>>,
    /// Calls by address.
    calls: Mutex<BTreeMap<Endpoint, usize>>,
}

impl Routers {
    fn failover(scripts: impl IntoIterator<Item = Script>) -> (Arc<Self>, Failover) {
        let routers = Arc::new(Self {
            scripts: Mutex::new(scripts.into_iter().collect()),
            ..Self::default()
        });
        let named = "http://routers.internal:81".parse().unwrap();
        let mut failover = Failover::new(named, Arc::new(Found(routers.clone()))).unwrap();
        failover.budget = Arc::new(TpsBudget::new(BUDGET_WINDOW, 1, 0.2));
        (routers, failover)
    }

    fn name(&self, addresses: &[Endpoint]) {
        *self.named.lock().unwrap() = Some(addresses.iter().cloned().collect());
    }

    fn down(&self, addresses: &[Endpoint]) {
        *self.down.lock().unwrap() = addresses.iter().cloned().collect();
    }

    /// How often each was asked since this was asked last.
    fn calls(&self) -> BTreeMap<Endpoint, usize> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    fn unused(&self) -> usize {
        self.scripts.lock().unwrap().len()
    }

    fn next(&self) -> Script {
        self.scripts
            .lock()
            .unwrap()
            .pop_front()
            .expect("one call more")
    }
}

struct Found(Arc<Routers>);

#[tonic::async_trait]
impl Discovery for Found {
    async fn resolve(&self, _: &Endpoint) -> io::Result<BTreeSet<Endpoint>> {
        let named = self.0.named.lock().unwrap().clone();
        named.ok_or_else(|| io::Error::other("no answer"))
    }

    fn connect(&self, address: &Endpoint) -> Result<Router, String> {
        let one = Arc::new(One(address.clone(), self.0.clone()));
        Ok(Router {
            inference: one.clone(),
            catalog: one.clone(),
            feedback: one.clone(),
            models: one,
        })
    }
}

/// The router at an address.
struct One(Endpoint, Arc<Routers>);

impl One {
    fn reach(&self) -> Result<(), Error> {
        *self
            .1
            .calls
            .lock()
            .unwrap()
            .entry(self.0.clone())
            .or_default() += 1;
        match self.1.down.lock().unwrap().contains(&self.0) {
            true => Err(unreachable().unwrap_err()),
            false => Ok(()),
        }
    }

    /// The call of a port whose answer does not matter here.
    fn called<T>(&self) -> Result<T, Error> {
        self.reach()?;
        match self.1.next().remove(0) {
            Err(error) => Err(error),
            Ok(_) => Err(Error::new(ErrorCode::NotFound, "it was asked")),
        }
    }
}

#[tonic::async_trait]
impl Inference for One {
    async fn generate(&self, _: GenerateRequest, _: RequestContext) -> Result<TokenStream, Error> {
        self.reach()?;
        let mut script = self.1.next();
        if script.len() == 1 && script[0].is_err() {
            return Err(script.remove(0).unwrap_err());
        }
        Ok(Box::pin(stream::iter(script)))
    }

    async fn embed(&self, _: EmbedRequest, _: RequestContext) -> Result<Embeddings, Error> {
        self.reach()?;
        self.1.next().remove(0).map(|_| Embeddings {
            vectors: vec![vec![1.0]],
            prompt_tokens: 1,
        })
    }
}

#[tonic::async_trait]
impl Catalog for One {
    async fn list_models(&self) -> Result<Vec<Model>, Error> {
        self.reach()?;
        Ok(Vec::new())
    }
}

#[tonic::async_trait]
impl Feedback for One {
    async fn score(&self, _: &TenantId, _: &RequestId, _: Score) -> Result<(), Error> {
        self.called()
    }
}

#[tonic::async_trait]
impl Models for One {
    async fn models(&self) -> Result<Vec<ManagedModel>, Error> {
        self.called()
    }
    async fn model(&self, _: &ModelId) -> Result<ManagedModel, Error> {
        self.called()
    }
    async fn create(&self, _: &str, _: NewModel) -> Result<ManagedModel, Error> {
        self.called()
    }
    async fn update(&self, _: &str, _: &ModelId, _: ModelPatch) -> Result<ManagedModel, Error> {
        self.called()
    }
    async fn deploy(&self, _: &str, _: &ModelId, _: Deploy) -> Result<ManagedModel, Error> {
        self.called()
    }
    async fn promote(&self, _: &str, _: &ModelId, _: Step) -> Result<ManagedModel, Error> {
        self.called()
    }
    async fn roll_back(&self, _: &str, _: &ModelId, _: RollBack) -> Result<ManagedModel, Error> {
        self.called()
    }
    async fn abort(&self, _: &str, _: &ModelId, _: Step) -> Result<ManagedModel, Error> {
        self.called()
    }
    async fn versions(&self, _: &ModelId) -> Result<Vec<ModelVersion>, Error> {
        self.called()
    }
    async fn history(&self, _: &ModelId, _: AuditPage) -> Result<Vec<ModelChange>, Error> {
        self.called()
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

fn addresses<const N: usize>() -> [Endpoint; N] {
    std::array::from_fn(|number| Endpoint::local(number as u16 + 1))
}

/// ZONE-1: requests go round over every address of the name, as they come and go.
#[tokio::test(start_paused = true)]
async fn zone_1_calls_go_round_over_all_routers_that_a_name_stands_for() {
    let (routers, failover) = Routers::failover((0..30).map(|_| whole()));
    let failover = Arc::new(failover);
    let all: [Endpoint; 3] = addresses();
    let shutdown = Shutdown::new(Duration::ZERO);
    let current = failover.clone().keep_current(shutdown.clone());
    let script = async {
        // It cannot be looked up yet, and is called as it is.
        ask(&failover, context()).await.1.unwrap();
        for named in [&all[..2], &all[1..], &all[1..]] {
            routers.name(named);
            sleep(LOOK_UP * 2).await;
            routers.calls();
            for _ in 0..6 {
                ask(&failover, context()).await.1.unwrap();
            }
            let each = 6 / named.len();
            let expected = named.iter().map(|address| (address.clone(), each));
            assert_eq!(routers.calls(), expected.collect());
            // A look-up that fails changes nothing.
            *routers.named.lock().unwrap() = None;
        }
        shutdown.drain().await;
    };
    tokio::join!(current, script);
}

/// ZONE-1: one call finds out that a router is dead, and from then on none, until it answers.
#[tokio::test(start_paused = true)]
async fn zone_1_a_dead_router_is_left_out_until_it_answers() {
    let (routers, failover) = Routers::failover((0..40).map(|_| whole()));
    let failover = Arc::new(failover);
    let all: [Endpoint; 2] = addresses();
    routers.name(&all);
    let shutdown = Shutdown::new(Duration::ZERO);
    let current = failover.clone().keep_current(shutdown.clone());
    let script = async {
        sleep(Duration::from_millis(1)).await;
        routers.down(&all[..1]);
        let asked = Instant::now();
        for _ in 0..10 {
            ask(&failover, context()).await.1.unwrap();
        }
        assert_eq!(asked.elapsed(), Duration::ZERO);
        assert_eq!(
            routers.calls(),
            [(all[0].clone(), 1), (all[1].clone(), 10)].into()
        );
        sleep(ASK * 3).await;
        let asked = routers.calls();
        assert_eq!(asked.get(&all[1]), None, "{asked:?}");
        // With nobody there, everybody is asked.
        routers.down(&all);
        let (_, end) = ask(&failover, context()).await;
        assert_eq!(end.unwrap_err().code, ErrorCode::Unavailable);
        routers.down(&[]);
        ask(&failover, context()).await.1.unwrap();
        sleep(ASK * 2).await;
        routers.calls();
        for _ in 0..10 {
            ask(&failover, context()).await.1.unwrap();
        }
        assert_eq!(
            routers.calls(),
            [(all[0].clone(), 5), (all[1].clone(), 5)].into()
        );
        shutdown.drain().await;
    };
    tokio::join!(current, script);
}

/// DRAIN-3: what reads, and a score, is asked again; a change of models only if nobody got it.
#[tokio::test(start_paused = true)]
async fn drain_3_a_change_of_models_is_made_once_and_everything_else_asked_again() {
    let asked = ErrorCode::NotFound;
    let (chat, step) = (ModelId::from("chat"), Step::default());
    for broken in [lost, gone_away, unreachable] {
        let (routers, failover) = Routers::failover([vec![broken()], vec![started()]]);
        assert_eq!(failover.model(&chat).await.unwrap_err().code, asked);
        assert_eq!(routers.unused(), 0);
        let (routers, failover) = Routers::failover([vec![broken()], vec![started()]]);
        let score = Score::new(1.0).unwrap();
        let (tenant, request) = ("tenant".into(), "request".into());
        let scored = failover.score(&tenant, &request, score).await;
        assert_eq!(scored.unwrap_err().code, asked);
        assert_eq!(routers.unused(), 0);
    }
    for broken in [lost, gone_away] {
        let (routers, failover) = Routers::failover([vec![broken()], vec![started()]]);
        let error = failover
            .promote("ada", &chat, step.clone())
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert!(error.message.contains("look whether"), "{error}");
        assert_eq!(routers.unused(), 1);
    }
    let (routers, failover) = Routers::failover([vec![unreachable()], vec![started()]]);
    let error = failover.promote("ada", &chat, step).await.unwrap_err();
    assert_eq!((error.code, routers.unused()), (asked, 0));
}

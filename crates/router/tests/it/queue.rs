//! Waiting for room while every worker is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fathom_proto::inference::{
    Delta, EmbedRequest, Embeddings, Event, FinishReason, GenerateRequest, Inference, Piece,
    Prompt, RequestContext, TokenIds, TokenStream, Usage,
};
use fathom_proto::{Error, ErrorCode};
use fathom_router::Config;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use crate::harness::{Harness, announcement, request, start};

/// How long a generation takes.
const TAKES: Duration = Duration::from_millis(100);

/// As exact as timers are.
const TICK: Duration = Duration::from_millis(2);

/// A worker with room for some requests and no queue.
struct Small {
    room: Arc<Semaphore>,
    refused: AtomicUsize,
    longest_wait: std::sync::Mutex<Duration>,
}

impl Small {
    fn add(harness: &Harness, room: usize) -> Arc<Self> {
        let worker = Self::new(room);
        harness.add_inference("small", worker.clone());
        worker
    }

    /// As [`Self::add`], for a worker that says how much room it has.
    fn announce(harness: &Harness, name: &str, room: u32) -> Arc<Self> {
        let worker = Self::new(room as usize);
        let mut announced = announcement(name, &format!("unix:{name}"), 8192);
        announced.models[0].load.slots = room;
        let router = &harness.router;
        router.register_local(announced, worker.clone()).unwrap();
        worker
    }

    fn new(room: usize) -> Arc<Self> {
        Arc::new(Self {
            room: Arc::new(Semaphore::new(room)),
            refused: AtomicUsize::new(0),
            longest_wait: std::sync::Mutex::default(),
        })
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

#[tonic::async_trait]
impl Inference for Small {
    async fn generate(
        &self,
        request: GenerateRequest,
        _: RequestContext,
    ) -> Result<TokenStream, Error> {
        let Ok(permit) = self.room.clone().try_acquire_owned() else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Error::new(ErrorCode::Overloaded, "full"));
        };
        if let Prompt::Tokens(sent) = &request.prompt {
            let waited = begun().elapsed() - Duration::from_millis(sent[0].into());
            let mut longest = self.longest_wait.lock().unwrap();
            *longest = longest.max(waited);
        }
        let started = Event::Started {
            prompt_tokens: 2,
            cached_tokens: 0,
            fingerprint: None,
            route: None,
        };
        let delta = Event::Delta(Delta {
            piece: Piece::Text("hello".to_owned()),
            tokens: 1,
            logprobs: Vec::new(),
            ids: TokenIds::new(),
        });
        let finished = Event::Finished {
            reason: FinishReason::Stop,
            usage: Usage::default(),
        };
        let last = async move {
            sleep(TAKES).await;
            drop(permit);
            Ok(finished)
        };
        let first = stream::iter([Ok(started), Ok(delta)]);
        Ok(Box::pin(first.chain(stream::once(last))))
    }

    async fn embed(&self, _: EmbedRequest, _: RequestContext) -> Result<Embeddings, Error> {
        Err(Error::new(ErrorCode::InvalidRequest, "no vectors"))
    }
}

tokio::task_local! {
    static BEGUN: Instant;
}

fn begun() -> Instant {
    BEGUN.get()
}

/// The whole answer, or the code of the error instead.
async fn answer(harness: &Harness) -> Result<(), ErrorCode> {
    let (mut request, context) = request("deepseek-chat");
    let now = u32::try_from(begun().elapsed().as_millis()).unwrap();
    request.prompt = Prompt::Tokens(vec![now]);
    let router = harness.router.clone();
    let stream = router.generate(request, context).await;
    let mut stream = stream.map_err(|error| {
        assert!(error.retry_after.is_some(), "it says when to come again");
        error.code
    })?;
    while let Some(event) = stream.next().await {
        event.map_err(|error| error.code)?;
    }
    Ok(())
}

/// So many requests at this rate; returns how many were answered.
async fn load(harness: &Arc<Harness>, count: u32, rate: u32) -> u32 {
    let mut arrivals = interval(Duration::from_secs(1) / rate);
    let mut requests = JoinSet::new();
    for _ in 0..count {
        arrivals.tick().await;
        let harness = harness.clone();
        requests.spawn(BEGUN.scope(begun(), async move { answer(&harness).await }));
    }
    let mut answered = 0;
    while let Some(result) = requests.join_next().await {
        match result.unwrap() {
            Ok(()) => answered += 1,
            Err(code) => assert_eq!(code, ErrorCode::Overloaded),
        }
    }
    answered
}

#[tokio::test]
async fn a_burst_waits_for_room_and_is_served() {
    let harness = Arc::new(start().await);
    tokio::time::pause();
    let worker = Small::add(&harness, 2);
    BEGUN
        .scope(Instant::now(), async {
            assert_eq!(load(&harness, 20, 10_000).await, 20);
            let needed = TAKES * 10;
            let took = begun().elapsed();
            assert!(took < needed + Duration::from_millis(50), "{took:?}");
        })
        .await;
    assert!(worker.refused() <= 4, "those who wait ask nobody");
}

/// OVER-2
#[tokio::test]
async fn three_times_the_capacity_is_shed_and_nothing_old_is_served() {
    let harness = Arc::new(start().await);
    tokio::time::pause();
    let worker = Small::add(&harness, 2);
    let answered = BEGUN
        .scope(Instant::now(), load(&harness, 60 * 20, 60))
        .await;
    // Room for 20 a second, over 20 seconds.
    assert!(answered >= 360, "{answered} of 400");
    let waited = *worker.longest_wait.lock().unwrap();
    let max_age = Config::default().queue.max_age;
    assert!(waited <= max_age && waited > max_age / 4, "{waited:?}");
    // Now and then somebody looks whether there is room.
    let refused = worker.refused();
    assert!(refused < 400, "{refused}");
}

/// ZONE-3: streams that end one by one on a full worker do not hide that another one has come,
/// however new it is.
#[tokio::test]
async fn those_who_wait_hear_of_a_worker_that_comes() {
    let harness = Arc::new(start().await);
    tokio::time::pause();
    // At the start of a router no worker is new.
    sleep(Config::default().lease * 2).await;
    let small = Small::announce(&harness, "small", 2);
    let answered = BEGUN.scope(Instant::now(), async {
        let after = async {
            sleep(Duration::from_secs(4)).await;
            assert!(small.refused() > 0);
            Small::announce(&harness, "large", 8);
            sleep(Duration::from_millis(500)).await;
            load(&harness, 40, 20).await
        };
        tokio::join!(load(&harness, 40 * 7, 40), after).1
    });
    assert_eq!(answered.await, 40);
}

/// LIFE-2
#[tokio::test]
async fn a_request_that_is_dropped_while_it_waits_reaches_no_worker() {
    let harness = start().await;
    tokio::time::pause();
    let worker = Small::add(&harness, 1);
    let generate = || async {
        let (request, context) = request("deepseek-chat");
        harness.router.generate(request, context).await
    };
    let running = generate().await.unwrap();
    let mut first = Box::pin(generate());
    let mut second = Box::pin(generate());
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    assert_eq!(worker.refused(), 1, "the second one joins the line");
    drop(first);
    let whole: Vec<_> = running.collect().await;
    assert_eq!(whole.len(), 3);
    let before = Instant::now();
    let whole: Vec<_> = second.await.unwrap().collect().await;
    assert_eq!(whole.len(), 3);
    let took = before.elapsed();
    assert!(took < TAKES + TICK, "the place was kept for it: {took:?}");
    assert_eq!(worker.room.available_permits(), 1);
}

#[tokio::test]
async fn a_deadline_that_cannot_be_met_is_refused_at_once() {
    let harness = start().await;
    tokio::time::pause();
    let worker = Small::add(&harness, 1);
    let generate = async |deadline: Instant| {
        let (request, context) = request("deepseek-chat");
        let context = RequestContext {
            deadline: Some(deadline),
            ..context
        };
        harness.router.generate(request, context).await
    };
    let late = generate(Instant::now()).await.err().unwrap();
    assert_eq!(late.code, ErrorCode::DeadlineExceeded);
    let running = generate(Instant::now() + TAKES * 2).await.unwrap();
    let begun = Instant::now();
    let waited = generate(begun + TAKES / 2).await.err().unwrap();
    assert_eq!(waited.code, ErrorCode::DeadlineExceeded);
    assert!(begun.elapsed() < TAKES / 2 + TICK);
    drop(running);
    assert_eq!(worker.room.available_permits(), 1);
}

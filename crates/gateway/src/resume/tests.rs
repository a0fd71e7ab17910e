//! The two sides of a kept stream, on paused time.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::ErrorCode;
use futures::{Stream, stream};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, yield_now};
use tokio::time::Instant;

use super::*;

const GRACE: Duration = Duration::from_secs(30);

fn owner(subject: &str) -> Owner {
    Owner {
        tenant: "tenant".into(),
        subject: subject.to_owned(),
        place: "/v1/chat/completions".into(),
    }
}

fn streams(max_streams: usize) -> Streams {
    Streams::new(&config::Resume {
        max_streams,
        ..config::Resume::default()
    })
}

fn id(number: u64) -> RequestId {
    format!("request{number}").into()
}

/// The next event, as a number.
async fn next(reader: &mut Reader) -> Option<u64> {
    match read(reader).await {
        Read::Event(bytes) | Read::Last(bytes) => Some(number(&bytes)),
        Read::End => None,
        other => panic!("{other:?}"),
    }
}

async fn read(reader: &mut Reader) -> Read {
    poll_fn(|context| reader.poll_read(context)).await
}

fn number(bytes: &Bytes) -> u64 {
    std::str::from_utf8(bytes).unwrap().trim().parse().unwrap()
}

/// Events that are as many bytes and hold their number.
fn event(number: u64, length: usize) -> Piece {
    Piece::Event(format!("{number:>length$}").into())
}

fn numbered(count: u64) -> impl Stream<Item = Result<Piece, ()>> {
    stream::iter((0..count).map(|number| Ok(event(number, 8))))
}

/// Runs a stream as its task does.
fn run(
    keeper: Keeper,
    source: impl Stream<Item = Result<Piece, ()>> + Send + 'static,
    shutdown: &Shutdown,
) -> JoinSet<bool> {
    let shutdown = shutdown.clone();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let complete = keeper.fill(source, &shutdown).await;
        if complete {
            keeper.linger(&shutdown).await;
        }
        complete
    });
    task
}

fn shutdown() -> Shutdown {
    Shutdown::new(Duration::from_secs(60))
}

/// For every event after which the connection may break: the two readers have every event once.
#[tokio::test(start_paused = true)]
async fn whoever_takes_a_stream_up_gets_exactly_the_rest() {
    const COUNT: u64 = 40;
    for cut in 0..=COUNT {
        let streams = streams(1);
        let (keeper, mut reader) = streams.keep(&id(1), owner("a")).unwrap();
        let _task = run(keeper, numbered(COUNT), &shutdown());
        let mut received = Vec::new();
        for _ in 0..cut {
            received.push(next(&mut reader).await.unwrap());
        }
        drop(reader);
        tokio::time::advance(GRACE / 2).await;
        let after = received.last().copied();
        let mut reader = streams.resume("request1", &owner("a"), after).unwrap();
        while let Some(number) = next(&mut reader).await {
            received.push(number);
        }
        assert_eq!(received, (0..COUNT).collect::<Vec<_>>(), "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_is_given_up_after_the_grace() {
    let streams = streams(1);
    let (keeper, reader) = streams.keep(&id(1), owner("a")).unwrap();
    let (told, mut events) = mpsc::channel(1);
    let source = stream::poll_fn(move |context| events.poll_recv(context));
    let mut task = run(keeper, source, &shutdown());
    drop(reader);
    let begun = Instant::now();
    tokio::time::sleep(GRACE - Duration::from_secs(1)).await;
    assert!(!told.is_closed());
    drop(streams.resume("request1", &owner("a"), None).unwrap());
    assert!(!task.join_next().await.unwrap().unwrap());
    assert_eq!(begun.elapsed(), GRACE * 2 - Duration::from_secs(1));
    assert!(told.is_closed());
    let error = streams.resume("request1", &owner("a"), None).err().unwrap();
    assert_eq!(error.code, ErrorCode::NotFound);
    // Its place is free again.
    assert!(streams.keep(&id(2), owner("a")).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_complete_stream_is_kept_for_the_grace() {
    let streams = streams(1);
    let (keeper, mut reader) = streams.keep(&id(1), owner("a")).unwrap();
    let mut task = run(keeper, numbered(2), &shutdown());
    while next(&mut reader).await.is_some() {}
    drop(reader);
    tokio::time::sleep(GRACE - Duration::from_secs(1)).await;
    let mut reader = streams.resume("request1", &owner("a"), Some(0)).unwrap();
    assert_eq!(next(&mut reader).await, Some(1));
    assert_eq!(next(&mut reader).await, None);
    drop(reader);
    assert!(task.join_next().await.unwrap().unwrap());
    assert!(streams.resume("request1", &owner("a"), Some(1)).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_new_reader_takes_the_place_of_the_old_one() {
    let streams = streams(1);
    let (keeper, mut old) = streams.keep(&id(1), owner("a")).unwrap();
    let (told, mut events) = mpsc::channel(4);
    let source = stream::poll_fn(move |context| events.poll_recv(context));
    let _task = run(keeper, source, &shutdown());
    told.send(Ok(event(0, 8))).await.unwrap();
    assert_eq!(next(&mut old).await, Some(0));
    let mut waits = JoinSet::new();
    waits.spawn(async move { read(&mut old).await });
    yield_now().await;
    let mut new = streams.resume("request1", &owner("a"), None).unwrap();
    assert_eq!(waits.join_next().await.unwrap().unwrap(), Read::Cut);
    assert_eq!(next(&mut new).await, Some(0));
    // That the old one is gone is nothing to the stream.
    tokio::time::sleep(GRACE * 2).await;
    told.send(Ok(event(1, 8))).await.unwrap();
    assert_eq!(next(&mut new).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_read_is_not_generated_and_what_was_sent_makes_room() {
    let streams = streams(1);
    let limit = config::Resume::default().buffer_bytes;
    let (keeper, mut reader) = streams.keep(&id(1), owner("a")).unwrap();
    let (counted, made) = std::sync::mpsc::channel();
    let source = stream::iter((0..100_000).map(move |number| {
        counted.send(()).unwrap();
        Ok(event(number, 1000))
    }));
    let _task = run(keeper, source, &shutdown());
    yield_now().await;
    let first = made.try_iter().count();
    assert!(first * 1064 <= limit / 2 + 1064, "{first} events");
    for number in 0..2000 {
        assert_eq!(next(&mut reader).await, Some(number));
    }
    drop(reader);
    yield_now().await;
    let again = |after| streams.resume("request1", &owner("a"), after);
    assert_eq!(again(None).err().unwrap().code, ErrorCode::Gone);
    assert_eq!(again(Some(1000)).err().unwrap().code, ErrorCode::Gone);
    let beyond = again(Some(1_000_000)).err().unwrap();
    assert_eq!(beyond.code, ErrorCode::InvalidRequest);
    // Half of the buffer is there for what was on its way.
    let mut reader = again(Some(1900)).unwrap();
    for number in 1901..5000 {
        assert_eq!(next(&mut reader).await, Some(number));
    }
}

#[tokio::test]
async fn nobody_else_may_read_a_stream_and_there_are_only_so_many() {
    let streams = streams(2);
    let _kept = streams.keep(&id(1), owner("a")).unwrap();
    let _other = streams.keep(&id(2), owner("a")).unwrap();
    assert!(streams.keep(&id(3), owner("a")).is_none());
    let elsewhere = Owner {
        place: "/v1/completions".into(),
        ..owner("a")
    };
    for (id, owner) in [
        ("request1", owner("b")),
        ("request1", elsewhere),
        ("request3", owner("a")),
    ] {
        let error = streams.resume(id, &owner, None).err().unwrap();
        assert_eq!(error.code, ErrorCode::NotFound);
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_goes_down_gives_up_what_nobody_reads_and_finishes_the_rest() {
    let streams = streams(2);
    let shutdown = shutdown();
    let (keeper, reader) = streams.keep(&id(1), owner("a")).unwrap();
    let mut unread = run(keeper, stream::pending(), &shutdown);
    drop(reader);
    let (keeper, mut reader) = streams.keep(&id(2), owner("a")).unwrap();
    let (told, mut events) = mpsc::channel(4);
    let source = stream::poll_fn(move |context| events.poll_recv(context));
    let mut read = run(keeper, source, &shutdown);
    let begun = Instant::now();
    shutdown.drain().await;
    assert!(!unread.join_next().await.unwrap().unwrap());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    told.send(Ok(event(0, 8))).await.unwrap();
    drop(told);
    assert_eq!(next(&mut reader).await, Some(0));
    assert_eq!(next(&mut reader).await, None);
    drop(reader);
    assert!(read.join_next().await.unwrap().unwrap());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// The client of a stream cancels it even where it does not read.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cancelled_has_its_last_word_in_a_full_buffer() {
    let streams = streams(1);
    let (keeper, mut reader) = streams.keep(&id(1), owner("a")).unwrap();
    let cancelled = keeper.cancelled();
    let source = stream::unfold(0, move |number| {
        let piece = match cancelled.is_cancelled() {
            true => Piece::Last("999999".into()),
            false => event(number, 1000),
        };
        std::future::ready(Some((Ok(piece), number + 1)))
    });
    let _task = run(keeper, source, &shutdown());
    yield_now().await;
    reader.cancel();
    yield_now().await;
    let mut last = None;
    while let Some(number) = next(&mut reader).await {
        last = Some(number);
    }
    assert_eq!(last, Some(999_999));
}

#[tokio::test]
async fn one_tenant_cannot_take_all_places() {
    let streams = Streams::new(&config::Resume {
        max_streams: 4,
        max_streams_per_tenant: 2,
        ..config::Resume::default()
    });
    let of_other = |subject| Owner {
        tenant: "other".into(),
        ..owner(subject)
    };
    let first = streams.keep(&id(1), owner("a")).unwrap();
    let _second = streams.keep(&id(2), owner("b")).unwrap();
    assert!(streams.keep(&id(3), owner("a")).is_none());
    let _others = [4, 5].map(|number| streams.keep(&id(number), of_other("a")).unwrap());
    assert!(streams.keep(&id(6), of_other("a")).is_none());
    drop(first);
    assert!(streams.keep(&id(6), of_other("a")).is_none());
    let _third = streams.keep(&id(3), owner("a")).unwrap();
}

/// The event that ends a stream is known for the last one as it is read, however the two sides take
/// turns.
#[tokio::test(start_paused = true)]
async fn the_last_event_is_told_with_the_event() {
    let streams = streams(1);
    let (keeper, mut reader) = streams.keep(&id(1), owner("a")).unwrap();
    let last = stream::iter([Ok(event(0, 8)), Ok(Piece::Last("1".into()))]);
    let _task = run(keeper, last, &shutdown());
    assert!(matches!(read(&mut reader).await, Read::Event(_)));
    assert_eq!(read(&mut reader).await, Read::Last("1".into()));
    let mut other = streams.resume("request1", &owner("a"), Some(0)).unwrap();
    assert_eq!(read(&mut other).await, Read::Last("1".into()));
    assert_eq!(read(&mut reader).await, Read::Cut);
}

/// What its caller ends is forgotten at once, whether it runs or is complete.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_ended_has_no_place_any_more() {
    let streams = streams(1);
    let (keeper, mut reader) = streams.keep(&id(1), owner("a")).unwrap();
    let mut task = run(keeper, numbered(2), &shutdown());
    while next(&mut reader).await.is_some() {}
    let begun = Instant::now();
    reader.cancel();
    assert!(task.join_next().await.unwrap().unwrap());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(streams.resume("request1", &owner("a"), None).is_err());
    assert!(streams.keep(&id(2), owner("a")).is_some());
}

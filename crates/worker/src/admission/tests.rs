use std::pin::pin;

use futures::FutureExt;
use tokio::time::advance;

use super::*;

const AGE: Duration = Duration::from_secs(30);

fn admission(capacity: usize, max_queue: usize) -> Admission {
    Admission::new(
        "test",
        Limits {
            capacity,
            max_queue,
            max_queue_age: AGE,
        },
    )
}

async fn admit(admission: &Admission) -> Result<Permit, Error> {
    admission.admit(admission.enter()?, None).await
}

#[tokio::test(start_paused = true)]
async fn the_first_to_wait_is_the_first_to_run() {
    let admission = admission(1, 2);
    let running = admit(&admission).await.unwrap();
    let mut first = pin!(admit(&admission));
    let mut second = pin!(admit(&admission));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    drop(running);
    assert!(second.as_mut().now_or_never().is_none());
    let first = first.await.unwrap();
    assert_eq!(admission.load().running, 1);
    drop(first);
    second.await.unwrap();
    assert_eq!(admission.load().running, 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_and_one_who_leaves_it_makes_room_at_once() {
    let admission = admission(1, 1);
    let running = admit(&admission).await.unwrap();
    let mut waiting = Box::pin(admit(&admission));
    assert!(waiting.as_mut().now_or_never().is_none());
    let refused = admit(&admission).await.err().unwrap();
    assert!(matches!(refused, Error::QueueFull { max_queue: 1 }));
    let refused = fathom_proto::Error::from(refused);
    assert_eq!(refused.code, fathom_proto::ErrorCode::Overloaded);
    assert!(refused.retry_after.is_some());
    drop(waiting);
    let mut waiting = pin!(admit(&admission));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(running);
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_a_free_slot_is_enough() {
    let admission = admission(1, 0);
    let running = admit(&admission).await.unwrap();
    assert!(admit(&admission).await.is_err());
    drop(running);
    admit(&admission).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_too_long_is_refused() {
    let admission = admission(1, 1);
    let _running = admit(&admission).await.unwrap();
    let begun = Instant::now();
    let refused = admit(&admission).await.err().unwrap();
    assert!(matches!(
        refused,
        Error::QueueTooSlow { max_queue_age: AGE }
    ));
    assert_eq!(begun.elapsed(), AGE);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_past_the_deadline() {
    let admission = admission(1, 1);
    let _running = admit(&admission).await.unwrap();
    let place = admission.enter().unwrap();
    advance(Duration::from_secs(1)).await;
    let deadline = Instant::now() + Duration::from_secs(2);
    let refused = admission.admit(place, Some(deadline)).await.err().unwrap();
    assert!(matches!(refused, Error::DeadlineExceeded));
    assert_eq!(Instant::now(), deadline);
}

#[tokio::test]
async fn a_permit_of_two_holders_ends_with_the_first_of_them() {
    let admission = admission(1, 0);
    let (job, stream) = ends();
    stream.share(admit(&admission).await.unwrap());
    assert_eq!(admission.load().running, 1);
    drop(job);
    assert_eq!(admission.load().running, 0, "nobody reads its events");
    drop(stream);

    let (job, stream) = ends();
    stream.share(admit(&admission).await.unwrap());
    drop(stream);
    assert_eq!(admission.load().running, 0, "its events are not wanted");
    drop(job);

    let (job, stream) = ends();
    drop(job);
    stream.share(admit(&admission).await.unwrap());
    assert_eq!(admission.load().running, 0, "it ended before it was heard");
}

fn ends() -> (JobEnd, StreamEnd) {
    let job = JobEnd::new();
    let stream = job.stream();
    (job, stream)
}

#[test]
fn absurd_limits_are_cut_to_what_can_be_counted() {
    let admission = admission(usize::MAX, usize::MAX);
    assert!(admission.enter().is_ok());
    assert_eq!(admission.load().running, 0);
}

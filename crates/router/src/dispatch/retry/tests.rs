use fathom_proto::Error;

use super::*;

fn retry() -> Retry {
    Retry::new(RetryConfig::default())
}

fn answered(code: ErrorCode) -> Failure {
    Failure {
        error: Error::new(code, "failed"),
        contact: Contact::Answered,
    }
}

fn lost() -> Failure {
    Failure {
        contact: Contact::Lost,
        ..answered(ErrorCode::WorkerFailed)
    }
}

#[test]
fn only_what_another_worker_may_do_better_is_tried_again() {
    let tried = [
        ErrorCode::WorkerFailed,
        ErrorCode::Overloaded,
        ErrorCode::Unavailable,
        ErrorCode::ShuttingDown,
    ];
    for code in ErrorCode::ALL {
        let next = retry().after(&answered(code), true);
        let expected = if tried.contains(&code) {
            Next::Now
        } else {
            Next::GiveUp
        };
        assert_eq!(next, expected, "{code}");
    }
}

#[test]
fn the_only_worker_gets_time_and_a_full_one_a_line() {
    for code in [
        ErrorCode::WorkerFailed,
        ErrorCode::Unavailable,
        ErrorCode::ShuttingDown,
    ] {
        let next = retry().after(&answered(code), false);
        assert!(matches!(next, Next::Later(_)), "{code}");
    }
    let mut retry = retry();
    let full = answered(ErrorCode::Overloaded);
    for next in [Next::Now, Next::Now, Next::Queue, Next::Queue] {
        assert_eq!(retry.after(&full, true), next);
    }
    assert_eq!(self::retry().after(&full, false), Next::Queue);
}

#[test]
fn delays_double_and_respect_what_the_worker_asks_for() {
    let mut retry = Retry::new(RetryConfig {
        attempts: NonZeroU32::MAX,
        ..RetryConfig::default()
    });
    let mut delay = Duration::from_secs(1);
    for _ in 0..5 {
        let Next::Later(waited) = retry.after(&answered(ErrorCode::WorkerFailed), false) else {
            panic!("there are tries left");
        };
        assert!(delay / 2 <= waited && waited <= delay, "{waited:?}");
        delay *= 2;
    }
    let mut asked = answered(ErrorCode::Unavailable);
    asked.error.retry_after = Some(Duration::from_secs(60));
    let next = retry.after(&asked, false);
    assert_eq!(next, Next::Later(Duration::from_secs(60)));
}

#[test]
fn tries_end_and_unreachable_workers_do_not_count() {
    let mut retry = retry();
    let unreachable = Failure {
        contact: Contact::None,
        ..answered(ErrorCode::Unavailable)
    };
    for _ in 0..100 {
        assert_eq!(retry.after(&unreachable, true), Next::Now);
    }
    let failed = answered(ErrorCode::WorkerFailed);
    assert_eq!(retry.after(&failed, true), Next::Now);
    let away = answered(ErrorCode::Unavailable);
    assert_eq!(retry.after(&away, true), Next::Now);
    assert_eq!(retry.after(&failed, true), Next::GiveUp);
}

#[test]
fn a_request_that_workers_die_of_meets_two_of_them() {
    let mut retry = retry();
    assert_eq!(retry.after(&lost(), true), Next::Now);
    assert_eq!(retry.after(&lost(), true), Next::GiveUp);
}

#[test]
fn tokens_renew_the_tries_and_not_for_ever() {
    let mut retry = retry();
    let failed = answered(ErrorCode::WorkerFailed);
    for _ in 0..RetryConfig::default().continuations {
        retry.progressed();
        for _ in 0..3 {
            assert_eq!(retry.after(&failed, true), Next::Now);
        }
    }
    retry.progressed();
    assert_eq!(retry.after(&failed, true), Next::GiveUp);
}

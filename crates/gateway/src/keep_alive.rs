//! Signs of life while an answer is not there: a request may wait in a queue, or its prompt may be
//! long, and proxies and clients give up connections on which nothing comes.
//!
//! What is there within the interval is the answer, with its status. Otherwise the answer begins
//! with 200 and with something that readers skip, and what fails from then on is told in the body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use fathom_proto::Error;
use futures::FutureExt;
use http::{HeaderValue, header};
use http_body::Frame;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::config::Config;
use crate::error::ApiError;
use crate::event_stream::{self, Events, Sign};
use crate::record::Record;

/// How the answer to one request is kept alive.
pub struct KeepAlive {
    /// How long nothing may come; `None`: for ever.
    interval: Option<Duration>,
    form: Form,
    /// What readers skip.
    sign: &'static [u8],
    /// What an answer ends with that fails when its status is sent.
    failure: Failure,
    record: Record,
}

/// Writes an error as the end of an answer.
type Failure = Box<dyn FnMut(&Error) -> Vec<u8> + Send>;

/// What the answer is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Server-sent events; signs of life go between them.
    Events,
    /// JSON; signs of life go before it.
    Whole,
}

type Answer = Result<Response, ApiError>;

impl KeepAlive {
    /// Of a stream of these events.
    pub fn events(config: &Config, mut events: impl Events, record: &Record) -> Self {
        Self {
            interval: interval(config),
            form: Form::Events,
            sign: events.keep_alive(),
            failure: Box::new(move |error| {
                let mut out = Vec::new();
                event_stream::hint(error, &mut out);
                events.error(error, &mut out);
                out
            }),
            record: record.clone(),
        }
    }

    /// Of JSON, with what is the JSON of an error.
    pub fn whole(
        config: &Config,
        failure: impl FnMut(&Error) -> Vec<u8> + Send + 'static,
        record: &Record,
    ) -> Self {
        Self {
            interval: interval(config),
            form: Form::Whole,
            // White space before JSON is none of it.
            sign: b"\n",
            failure: Box::new(failure),
            record: record.clone(),
        }
    }

    /// The answer that `work` makes, or, if that takes long, one that waits for it. Dropping either
    /// stops the work.
    pub async fn answer(self, work: impl Future<Output = Answer> + Send + 'static) -> Answer {
        let Some(interval) = self.interval else {
            return work.await;
        };
        let mut work = work.boxed();
        match timeout(interval, &mut work).await {
            Ok(answer) => Ok(match (answer?, self.form) {
                (answer, Form::Whole) => answer,
                (mut answer, Form::Events) => {
                    answer.extensions_mut().insert(Sign(self.sign));
                    answer.map(|body| {
                        let now = Instant::now();
                        self.lively(interval, Source::Come(body), now, now + interval)
                    })
                }
            }),
            Err(_) => {
                // In a task, so that it meets its deadline even if nobody reads.
                let mut coming = JoinSet::new();
                coming.spawn(work);
                let now = Instant::now();
                let (form, sign) = (self.form, Sign(self.sign));
                let body = self.lively(interval, Source::Coming(coming), now - interval, now);
                Ok(match form {
                    Form::Events => {
                        let mut response = event_stream::head(body);
                        response.extensions_mut().insert(sign);
                        response
                    }
                    Form::Whole => {
                        let mut response = Response::new(body);
                        let json = HeaderValue::from_static("application/json");
                        response.headers_mut().insert(header::CONTENT_TYPE, json);
                        response
                    }
                })
            }
        }
    }

    fn lively(self, interval: Duration, source: Source, since: Instant, due: Instant) -> Body {
        Body::new(Lively {
            keep: self,
            interval,
            source,
            quiet_since: since,
            timer: Box::pin(sleep_until(due)),
        })
    }

    /// The failure of an answer whose status is sent.
    fn fail(&mut self, error: &Error) -> Vec<u8> {
        self.record.set_error(error.code);
        error.log_cause(Some(self.record.id()));
        (self.failure)(error)
    }
}

fn interval(config: &Config) -> Option<Duration> {
    Some(config.keep_alive).filter(|interval| !interval.is_zero())
}

/// A body in which something comes at least each interval.
struct Lively {
    keep: KeepAlive,
    interval: Duration,
    source: Source,
    quiet_since: Instant,
    timer: Pin<Box<Sleep>>,
}

/// Where the rest of the body comes from.
enum Source {
    /// One task that makes the answer; dropped with this.
    Coming(JoinSet<Answer>),
    /// The answer.
    Come(Body),
    /// Nothing follows.
    Over,
}

impl Lively {
    /// A sign of life when it is time for one. The timer is not set anew for every frame, but looks
    /// when it fires whether something came since.
    fn poll_sign(&mut self, context: &mut Context<'_>) -> Poll<&'static [u8]> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let now = Instant::now();
            let due = self.quiet_since + self.interval;
            if due <= now {
                self.quiet_since = now;
                self.timer.as_mut().reset(now + self.interval);
                return Poll::Ready(self.keep.sign);
            }
            self.timer.as_mut().reset(due);
        }
    }
}

impl http_body::Body for Lively {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        loop {
            match &mut this.source {
                Source::Over => return Poll::Ready(None),
                Source::Come(body) => match Pin::new(body).poll_frame(context) {
                    Poll::Ready(frame) => {
                        this.quiet_since = Instant::now();
                        return Poll::Ready(frame);
                    }
                    Poll::Pending => break,
                },
                Source::Coming(task) => {
                    let error = match task.poll_join_next(context) {
                        Poll::Pending => break,
                        Poll::Ready(Some(Ok(Ok(answer)))) => {
                            this.source = Source::Come(answer.into_body());
                            continue;
                        }
                        Poll::Ready(Some(Ok(Err(ApiError(error))))) => error,
                        Poll::Ready(Some(Err(panicked))) => Error::internal(panicked),
                        Poll::Ready(None) => Error::internal("the answer is gone"),
                    };
                    this.source = Source::Over;
                    let told = this.keep.fail(&error);
                    return Poll::Ready(Some(Ok(Frame::data(told.into()))));
                }
            }
        }
        let sign = ready!(this.poll_sign(context));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(sign)))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Over => true,
            Source::Come(body) => body.is_end_stream(),
            Source::Coming(_) => false,
        }
    }
}

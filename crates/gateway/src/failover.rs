//! Calls of routers, each of the next one that answers, and of another when one is lost, which
//! callers are not to notice.

mod calls;
mod routers;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fathom_kit::backoff::Backoff;
use fathom_kit::net::Endpoint;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::id::RequestId;
use fathom_proto::inference::{
    EmbedRequest, Embeddings, Event, GenerateRequest, Inference, RequestContext, TokenStream,
};
use fathom_proto::{Error, ErrorCode};
use futures::future::BoxFuture;
use futures::{Stream, StreamExt, TryFutureExt, TryStreamExt, stream};
use metrics::counter;
use tokio::time::{Instant, sleep};
use tower::retry::budget::{Budget, TpsBudget};

use crate::failover::routers::{Member, Routers};
use crate::metrics::ROUTER_RETRIES;

pub use routers::{Discovery, Router};

/// How often a call is made again: at once, then after these.
const RETRIES: u32 = 3;
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// What may be asked again though it may have run: so many each second and this share of the
/// calls, over this window. More would keep routers down that fail under their load.
const BUDGET_PER_SECOND: u32 = 10;
const BUDGET_SHARE: f32 = 0.2;
const BUDGET_WINDOW: Duration = Duration::from_secs(10);

/// Routers that stand for one another: every address of a name. Calls go to those that answer, in
/// turn. One whose connection breaks, or does not come about, is made again until something is
/// generated, at most three times and within its deadline; what a router answers stays. Nobody
/// knows how far a lost router came, so a text may be generated more than once, and is told once.
pub struct Failover {
    routers: Arc<Routers>,
    budget: Arc<TpsBudget>,
}

impl Failover {
    /// Calls the routers that `name` stands for: whatever it leads to, unless
    /// [`Self::keep_current`] runs.
    ///
    /// # Errors
    /// Why `name` is nothing that can be called.
    pub fn new(name: Endpoint, discovery: Arc<dyn Discovery>) -> Result<Self, String> {
        let budget = TpsBudget::new(BUDGET_WINDOW, BUDGET_PER_SECOND, BUDGET_SHARE);
        Ok(Self {
            routers: Arc::new(Routers::new(name, discovery)?),
            budget: Arc::new(budget),
        })
    }

    /// Follows what the name stands for, and which routers answer, until draining begins. Run it
    /// as a task of its own.
    pub async fn keep_current(self: Arc<Self>, shutdown: Shutdown) {
        tokio::select! {
            () = self.routers.keep_current() => {}
            () = shutdown.draining() => {}
        }
    }

    fn retry(&self, deadline: Option<Instant>, request: Option<RequestId>) -> Retry {
        self.budget.deposit();
        Retry {
            left: RETRIES,
            once: false,
            deadline,
            request,
            backoff: None,
            budget: self.budget.clone(),
        }
    }

    /// Makes a call whose answer is one message.
    async fn call<'a, T>(
        &self,
        mut retry: Retry,
        call: impl Fn(Arc<Member>) -> BoxFuture<'a, Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        loop {
            let router = self.routers.next();
            let answer = call(router.clone()).await;
            let Err(error) = answer else { return answer };
            router.failed(&error);
            let delay = retry.after(&error).ok_or_else(|| retry.told(error))?;
            sleep(delay).await;
        }
    }
}

#[tonic::async_trait]
impl Inference for Failover {
    async fn generate(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, Error> {
        let retry = self.retry(context.deadline, Some(context.request_id.clone()));
        let call = Call {
            routers: self.routers.clone(),
            request,
            context,
            retry,
        };
        let mut generation = Generation {
            stream: call.make(Duration::ZERO),
            call: Some(call),
            first: None,
            has_begun: false,
        };
        generation.first = generation.try_next().await?;
        if generation.first.is_none() {
            return Ok(Box::pin(stream::empty()));
        }
        Ok(Box::pin(generation))
    }

    async fn embed(
        &self,
        request: EmbedRequest,
        context: RequestContext,
    ) -> Result<Embeddings, Error> {
        let retry = self.retry(context.deadline, Some(context.request_id.clone()));
        self.call(retry, |router| {
            let (request, context) = (request.clone(), context.clone());
            Box::pin(async move { router.ports.inference.embed(request, context).await })
        })
        .await
    }

    async fn count_tokens(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<u32, Error> {
        let retry = self.retry(context.deadline, Some(context.request_id.clone()));
        self.call(retry, |router| {
            let (request, context) = (request.clone(), context.clone());
            Box::pin(async move {
                let inference = &router.ports.inference;
                inference.count_tokens(request, context).await
            })
        })
        .await
    }
}

/// A call that may be made again.
struct Call {
    routers: Arc<Routers>,
    request: GenerateRequest,
    context: RequestContext,
    retry: Retry,
}

impl Call {
    /// Asks once this is polled, after `delay`.
    fn make(&self, delay: Duration) -> TokenStream {
        let routers = self.routers.clone();
        let (request, context) = (self.request.clone(), self.context.clone());
        let stream = async move {
            if !delay.is_zero() {
                sleep(delay).await;
            }
            let router = routers.next();
            let asked = router.ports.inference.generate(request, context).await;
            let stream = asked.inspect_err(|error| router.failed(error))?;
            Ok(stream.inspect_err(move |error| router.failed(error)))
        };
        Box::pin(stream.try_flatten_stream())
    }
}

/// The events of whichever router answers.
struct Generation {
    stream: TokenStream,
    /// Present until something was generated.
    call: Option<Call>,
    /// Read before the stream was handed on.
    first: Option<Event>,
    has_begun: bool,
}

impl Stream for Generation {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(event) = this.first.take() {
            return Poll::Ready(Some(Ok(event)));
        }
        loop {
            match ready!(this.stream.poll_next_unpin(context)) {
                Some(Ok(Event::Started { .. })) if this.has_begun => {}
                Some(Ok(event)) => {
                    this.has_begun = true;
                    if !matches!(event, Event::Started { .. }) {
                        this.call = None;
                    }
                    return Poll::Ready(Some(Ok(event)));
                }
                Some(Err(error)) => {
                    let again = this.call.as_mut().and_then(|call| {
                        let delay = call.retry.after(&error)?;
                        Some(call.make(delay))
                    });
                    match again {
                        Some(stream) => this.stream = stream,
                        None => return Poll::Ready(Some(Err(told(error)))),
                    }
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

/// What is left of one call's tries.
struct Retry {
    left: u32,
    /// It must not run twice.
    once: bool,
    deadline: Option<Instant>,
    request: Option<RequestId>,
    /// Present after the first failure.
    backoff: Option<Backoff>,
    budget: Arc<TpsBudget>,
}

impl Retry {
    /// The same for what must not run twice.
    fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// When to ask again after `error`; `None`: not at all.
    fn after(&mut self, error: &Error) -> Option<Duration> {
        // Nothing has run at a router that was not reached.
        let may_run_twice = || !self.once && error.is_lost() && self.budget.withdraw();
        let may = self.left > 0 && (error.is_unreachable() || may_run_twice());
        if !may {
            return None;
        }
        self.left -= 1;
        let delay = match &mut self.backoff {
            Some(backoff) => backoff.next_delay(),
            None => {
                self.backoff = Some(Backoff::new(FIRST_DELAY, LONGEST_DELAY));
                Duration::ZERO
            }
        };
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() + delay >= deadline)
        {
            return None;
        }
        counter!(ROUTER_RETRIES).increment(1);
        tracing::warn!(
            request.id = self.request.as_ref().map(RequestId::as_str),
            error.cause = error.source.as_deref().map(tracing::field::display),
            "a router is lost; asking again"
        );
        Some(delay)
    }

    /// What the caller is told in the end.
    fn told(&self, error: Error) -> Error {
        if !self.once || !error.is_lost() {
            return told(error);
        }
        let message = "the connection to the router broke; look whether the change was made";
        Error {
            source: error.source,
            ..Error::new(ErrorCode::Unavailable, message)
        }
    }
}

/// What the caller is told: it is still there, so what looks like a call that was cancelled is a
/// router that was lost.
fn told(error: Error) -> Error {
    if !error.is_lost() {
        return error;
    }
    let message = "the connection to the router broke before the answer was complete";
    Error {
        source: error.source,
        ..Error::new(ErrorCode::WorkerFailed, message)
    }
}

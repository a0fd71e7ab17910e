//! Where the time until the first byte of an answer goes.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::Record;

const OVERHEAD_MS: HeaderName = HeaderName::from_static("x-fathom-overhead-ms");
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");

/// How long a request waited for others.
#[derive(Clone, Copy, Default)]
pub struct Times {
    /// Whether a worker was asked; without one there is nothing to be told apart.
    pub asked: bool,
    waited: Duration,
    waiting_since: Option<Instant>,
}

impl Times {
    /// Says in the head of an answer how long it took from `begun`, when the request's header was
    /// read, and how much of that the gateway itself took: what is left without the waiting for
    /// the body, and for the router and the workers behind it.
    pub fn tell(self, begun: Instant, headers: &mut HeaderMap) {
        let total = begun.elapsed();
        let millis = u64::try_from(total.as_millis()).unwrap_or(u64::MAX);
        headers.insert(PROCESSING_MS, millis.into());
        if self.asked {
            let waits = self.waiting_since.map_or(Duration::ZERO, |it| it.elapsed());
            let own = total.saturating_sub(self.waited).saturating_sub(waits);
            let own = format!("{:.3}", own.as_secs_f64() * 1000.0);
            if let Ok(own) = HeaderValue::try_from(own) {
                headers.insert(OVERHEAD_MS, own);
            }
        }
    }
}

/// A request waits for others until this is dropped.
pub struct Waiting(Record);

impl Waiting {
    pub(super) fn begin(record: &Record) -> Self {
        record.details().times.waiting_since = Some(Instant::now());
        Self(record.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let times = &mut self.0.details().times;
        if let Some(since) = times.waiting_since.take() {
            times.waited += since.elapsed();
        }
    }
}

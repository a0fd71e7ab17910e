//! One worker: how to call it, and until when it counts as up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fathom_kit::net::Endpoint;
use fathom_proto::grpc::InferenceClient;
use fathom_proto::inference::Inference;
use tokio::time::Instant;

/// Makes the port of a worker from its address.
pub(crate) type Connect =
    Box<dyn Fn(&Endpoint) -> Result<Arc<dyn Inference>, String> + Send + Sync>;

/// Over gRPC; connects at the first call.
pub(crate) fn over_grpc(endpoint: &Endpoint) -> Result<Arc<dyn Inference>, String> {
    Ok(Arc::new(InferenceClient::new(endpoint.channel()?)))
}

/// A worker that can be called.
pub(crate) struct Connection {
    pub inference: Arc<dyn Inference>,
    /// Tells connections apart for as long as this process lives.
    pub number: u32,
    /// Where it runs; `None`: it does not say.
    zone: Option<String>,
    /// When it appeared beside others; `None`: it was there from the start.
    pub appeared: Option<Instant>,
    /// Until when it counts as up; `None`: for ever.
    expires: Mutex<Option<Instant>>,
}

impl Connection {
    pub fn new(
        inference: Arc<dyn Inference>,
        zone: Option<String>,
        number: u32,
        appeared: Option<Instant>,
    ) -> Arc<Self> {
        Arc::new(Self {
            inference,
            number,
            zone,
            appeared,
            expires: Mutex::new(None),
        })
    }

    /// It counts as up until `expires`; `None`: for ever.
    pub fn lease(&self, expires: Option<Instant>) {
        *self.expires() = expires;
    }

    /// Whether both are known to run in the same zone.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.zone.is_some() && self.zone == other.zone
    }

    pub fn is_live(&self, now: Instant) -> bool {
        self.expires().is_none_or(|expires| now < expires)
    }

    fn expires(&self) -> MutexGuard<'_, Option<Instant>> {
        self.expires.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! One worker, and how many streams it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fathom_kit::net::Endpoint;
use fathom_proto::grpc::InferenceClient;
use fathom_proto::inference::Inference;

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
    running: AtomicUsize,
}

impl Connection {
    pub fn new(inference: Arc<dyn Inference>) -> Arc<Self> {
        Arc::new(Self {
            inference,
            running: AtomicUsize::new(0),
        })
    }

    /// Streams that it runs for this router.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }
}

/// One more stream on a connection, for as long as this lives.
pub(crate) struct Load(Arc<Connection>);

impl Load {
    pub fn on(connection: &Arc<Connection>) -> Self {
        connection.running.fetch_add(1, Ordering::Relaxed);
        Self(connection.clone())
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

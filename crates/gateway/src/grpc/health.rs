//! `grpc.health.v1.Health`: whether calls are wanted here, as `/readyz` has it.

use fathom_kit::readiness::Readiness;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::pb::inference::completion_service_server::SERVICE_NAME;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use super::open::MAX_MESSAGE_BYTES;

/// Its name.
pub const SERVICE: &str = "grpc.health.v1.Health";
/// The method that says it once, and the one that says it again and again.
pub const CHECK: &str = "/grpc.health.v1.Health/Check";
pub const WATCH: &str = "/grpc.health.v1.Health/Watch";
/// What can be asked for: the server as a whole, and the service on it.
const NAMES: [&str; 2] = ["", SERVICE_NAME];

/// What the health service says.
pub struct Health(HealthReporter);

impl Health {
    /// Something to say, and the service that says it.
    pub(super) fn new() -> (Self, HealthServer<HealthService>) {
        let reporter = HealthReporter::new();
        let service = HealthService::from_health_reporter(reporter.clone());
        let server = HealthServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES);
        (Self(reporter), server)
    }

    /// Says what `readiness` says until draining begins; then those who watch it are let go, for
    /// their calls would hold the shutdown.
    pub async fn follow(mut self, readiness: Readiness, shutdown: Shutdown) {
        let follow = async {
            loop {
                self.say(ServingStatus::NotServing).await;
                readiness.ready().await;
                self.say(ServingStatus::Serving).await;
                readiness.unready().await;
            }
        };
        tokio::select! {
            () = follow => {}
            () = shutdown.draining() => {}
        }
        self.say(ServingStatus::NotServing).await;
        for name in NAMES {
            self.0.clear_service_status(name).await;
        }
    }

    async fn say(&self, status: ServingStatus) {
        for name in NAMES {
            self.0.set_service_status(name, status).await;
        }
    }
}

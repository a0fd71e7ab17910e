//! Whether the gateway can serve with the services behind it; `/readyz` says so. Without auth it can
//! for the grace in which known callers are let in: sent away, they would be strangers elsewhere.

use std::time::Duration;

use fathom_kit::readiness::Readiness;
use tokio::time::{sleep, timeout};

use crate::Gateway;

const PERIOD: Duration = Duration::from_secs(2);
/// The same while something is missing, which at a start it is for a moment.
const SOON: Duration = Duration::from_millis(200);

/// Sets the readiness conditions `auth` and `router` to false, and keeps them true to the facts
/// until draining begins.
pub fn dependencies(
    gateway: Gateway,
    readiness: Readiness,
) -> impl Future<Output = ()> + Send + 'static {
    readiness.set("auth", false);
    readiness.set("router", false);
    watch(gateway, readiness)
}

async fn watch(gateway: Gateway, readiness: Readiness) {
    let watch = async {
        loop {
            let router = timeout(PERIOD, gateway.catalog.list_models()).await;
            let (auth, router) = (gateway.identities.serves(), matches!(router, Ok(Ok(_))));
            readiness.set("auth", auth);
            readiness.set("router", router);
            sleep(if auth && router { PERIOD } else { SOON }).await;
        }
    };
    tokio::select! {
        () = watch => {}
        () = gateway.shutdown.draining() => {}
    }
}

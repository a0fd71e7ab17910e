//! Whether the gateway can serve with the services behind it; `/readyz` says so. Without auth it can
//! for the grace in which known callers are let in: sent away, they would be strangers elsewhere.

use std::time::Duration;

use fathom_kit::readiness::Readiness;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::Gateway;

const PERIOD: Duration = Duration::from_secs(2);

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
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = async {
        loop {
            ticks.tick().await;
            let router = timeout(PERIOD, gateway.catalog.list_models()).await;
            readiness.set("auth", gateway.identities.serves());
            readiness.set("router", matches!(router, Ok(Ok(_))));
        }
    };
    tokio::select! {
        () = watch => {}
        () = gateway.shutdown.draining() => {}
    }
}

//! Whether the services behind the gateway can be reached; `/readyz` says so. Auth is reached while
//! [`Identities::keep_current`](crate::Identities::keep_current) hears it.

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
            readiness.set("auth", gateway.identities.in_contact());
            readiness.set("router", matches!(router, Ok(Ok(_))));
        }
    };
    tokio::select! {
        () = watch => {}
        () = gateway.shutdown.draining() => {}
    }
}

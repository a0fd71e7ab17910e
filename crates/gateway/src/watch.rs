//! Whether the services behind the gateway can be reached; `/readyz` says so.

use std::time::Duration;

use fathom_kit::readiness::Readiness;
use fathom_proto::ErrorCode;
use secrecy::SecretString;
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
            let (auth, router) = tokio::join!(
                timeout(PERIOD, auth_answers(&gateway)),
                timeout(PERIOD, gateway.catalog.list_models()),
            );
            readiness.set("auth", auth == Ok(true));
            readiness.set("router", matches!(router, Ok(Ok(_))));
        }
    };
    tokio::select! {
        () = watch => {}
        () = gateway.shutdown.draining() => {}
    }
}

/// An auth service that is up refuses an empty credential; one that is not says something else.
async fn auth_answers(gateway: &Gateway) -> bool {
    let answer = gateway.identity.authenticate(SecretString::from("")).await;
    answer.is_err_and(|error| error.code == ErrorCode::Unauthenticated)
}

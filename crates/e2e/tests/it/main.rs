//! Promises that need several services. Each test runs in both wirings, because a service and its
//! remote twin must be interchangeable; those that kill something run real processes.
#![expect(
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod administration;
mod answers;
mod auth_down;
mod breaker;
mod cancellation;
mod credentials;
mod drain;
mod edge;
mod errors;
mod faults;
mod feedback;
mod grpc;
mod layers;
mod life;
mod operator;
mod overload;
mod processes;
mod records;
mod replicas;
mod requests;
mod resume;
mod retries;
mod revocation;
mod rolling;
mod rotation;
mod starting;
mod statements;
mod swap;
mod websocket;
mod websocket_lanes;
mod worker_death;
mod zones;

/// Makes a test for each wiring of an `async fn(Wiring)`.
#[macro_export]
macro_rules! in_both_wirings {
    ($($(#[$attribute:meta])* async fn $name:ident($wiring:ident: Wiring) $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn promise($wiring: fathom_e2e::Wiring) $body

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_process() {
                promise(fathom_e2e::Wiring::InProcess).await;
            }

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn over_grpc() {
                promise(fathom_e2e::Wiring::Grpc).await;
            }
        }
    )+};
}

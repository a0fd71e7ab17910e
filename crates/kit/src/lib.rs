//! Plumbing that every service has in the same way. It knows no service and no domain.
//!
//! # Layout
//!
//! - [`config`]: layered configuration with errors that name the key; the only reader of the
//!   environment
//! - [`net`]: addresses to listen on and endpoints to call, TCP or Unix socket
//! - [`server`]: the accept loop that serves HTTP/1.1, HTTP/2 and so gRPC
//! - [`backoff`]: how long to wait after a failure
//! - [`shutdown`]: draining, its deadline, and the tasks that shutdown waits for
//! - [`admin`] and [`readiness`]: `/livez`, `/readyz`, `/metrics`
//! - [`telemetry`]: log lines and the metrics recorder
//! - [`private`]: folders that no other user may look into
//! - [`database`]: the pool, and bringing its schema up to date with `migrations/`

pub mod admin;
pub mod backoff;
pub mod config;
pub mod database;
pub mod net;
pub mod private;
pub mod readiness;
pub mod server;
pub mod shutdown;
pub mod telemetry;

//! Names of the metrics of every port.

use metrics::{describe_counter, describe_gauge};

/// Describes the metrics to the recorder; call once at start.
pub fn describe() {
    describe_gauge!(CONNECTIONS, "Connections that are open.");
    describe_counter!(
        REFUSED,
        "Connections closed at once, since their address had its share."
    );
    describe_counter!(
        ENDED,
        "Connections and streams ended because of their peer, by reason."
    );
    describe_counter!(ACCEPT_ERRORS, "Connections that could not be accepted.");
    describe_counter!(
        TLS_RELOADS,
        "Changes of certificate files, by whether they could be used."
    );
}

/// Connections that are open.
pub const CONNECTIONS: &str = "fathom_server_connections";
/// Connections closed at once, since their address had its share.
pub const REFUSED: &str = "fathom_server_connections_refused_total";
/// Connections and streams ended because of their peer, by `reason`: `handshake`, `header`, `idle`,
/// `body`, `write`, `flood`.
pub const ENDED: &str = "fathom_server_ended_total";
/// Connections that could not be accepted.
pub const ACCEPT_ERRORS: &str = "fathom_server_accept_errors_total";
/// Changes of certificate files, by `result` (`loaded`, `failed`).
pub const TLS_RELOADS: &str = "fathom_server_tls_reloads_total";

//! Names of what the router measures.

use metrics::{describe_counter, describe_gauge};

/// Describes the metrics to the recorder; call once at start.
pub fn describe() {
    describe_gauge!(WORKERS, "Workers in the registry.");
    describe_gauge!(IN_FLIGHT, "Streams that workers run, by model.");
    describe_counter!(
        DISPATCHES_TOTAL,
        "Requests sent to a worker and over, by model and outcome."
    );
    describe_counter!(
        RETRIES_TOTAL,
        "Requests tried again after a failure, by model."
    );
    describe_counter!(
        TRIALS_ENDED_TOTAL,
        "Trials of versions that this router ended because they went badly, by model."
    );
}

/// Gauge: workers in the registry.
pub(crate) const WORKERS: &str = "fathom_router_workers";

/// Gauge by `model`: streams that workers run.
pub(crate) const IN_FLIGHT: &str = "fathom_router_in_flight";

/// Counter by `model` and `outcome`: requests sent to a worker and over. The outcome is
/// `finished`, `dropped` (the caller went away) or the name of an error code.
pub(crate) const DISPATCHES_TOTAL: &str = "fathom_router_dispatches_total";

/// Counter by `model`: how often a request was tried again after a failure.
pub(crate) const RETRIES_TOTAL: &str = "fathom_router_retries_total";

/// Counter by `model`: trials of versions that this router ended because they went badly.
pub(crate) const TRIALS_ENDED_TOTAL: &str = "fathom_router_trials_ended_total";

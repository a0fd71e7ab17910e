//! Names of what the router measures.

use metrics::{describe_counter, describe_gauge};

/// Describes the metrics to the recorder; call once at start.
pub fn describe() {
    describe_gauge!(WORKERS, "Workers in the registry.");
    describe_gauge!(
        UNROUTED,
        "Workers that are up and get no request, by reason."
    );
    describe_counter!(
        BREAKER_TOTAL,
        "Changes of workers' breakers, by what they changed to."
    );
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
        RETRIES_REFUSED_TOTAL,
        "Requests not tried again because too many were."
    );
    describe_counter!(
        CONTINUATIONS_TOTAL,
        "Streams that went on at another worker, by model."
    );
    describe_counter!(HEDGES_TOTAL, "Second attempts beside slow ones, by model.");
    describe_counter!(
        FALLBACKS_TOTAL,
        "Requests answered by the fallback, by the model that was out."
    );
    describe_gauge!(QUEUED, "Requests that wait for room on a worker, by model.");
    describe_counter!(
        SHED_TOTAL,
        "Requests that waited for room in vain, by model and reason."
    );
    describe_counter!(
        EXPERIMENT_ARMS_STOPPED_TOTAL,
        "Arms of experiments that the guard rail has stopped, by experiment and arm."
    );
    describe_counter!(
        EXPERIMENT_REQUESTS_LOST_TOTAL,
        "Requests of experiments that cannot be scored, because too many waited to be written."
    );
    describe_counter!(
        TRIALS_ENDED_TOTAL,
        "Trials of versions that this router ended because they went badly, by model."
    );
}

/// Gauge: workers in the registry.
pub(crate) const WORKERS: &str = "fathom_router_workers";

/// Gauge by `reason`: workers that are up and get no request. The reason is `unreachable` (a call
/// did not get there), `breaker` (too many requests failed) or `no_model` (it serves no model of
/// the table).
pub(crate) const UNROUTED: &str = "fathom_router_ready_but_unrouted";

/// Counter by `to`: changes of workers' breakers to `open`, `half_open` (one request finds out)
/// and `closed`.
pub(crate) const BREAKER_TOTAL: &str = "fathom_router_breaker_changes_total";

/// Gauge by `model`: streams that workers run.
pub(crate) const IN_FLIGHT: &str = "fathom_router_in_flight";

/// Counter by `model` and `outcome`: requests sent to a worker and over. The outcome is
/// `finished`, `dropped` (the caller went away) or the name of an error code.
pub(crate) const DISPATCHES_TOTAL: &str = "fathom_router_dispatches_total";

/// Counter by `model`: how often a request was tried again after a failure.
pub(crate) const RETRIES_TOTAL: &str = "fathom_router_retries_total";

/// Counter: how often a request was not tried again because too many were.
pub(crate) const RETRIES_REFUSED_TOTAL: &str = "fathom_router_retries_refused_total";

/// Counter by `model`: streams that went on at another worker.
pub(crate) const CONTINUATIONS_TOTAL: &str = "fathom_router_continuations_total";

/// Counter by `model`: second attempts beside slow ones.
pub(crate) const HEDGES_TOTAL: &str = "fathom_router_hedges_total";

/// Counter by `model`, the one that was out: requests that its fallback was chosen for.
pub(crate) const FALLBACKS_TOTAL: &str = "fathom_router_fallbacks_total";

/// Gauge by `model`: requests that wait for room on a worker.
pub(crate) const QUEUED: &str = "fathom_router_queued";

/// Counter by `model` and `reason` (`age`, `length`, `deadline`): requests that waited in vain.
pub(crate) const SHED_TOTAL: &str = "fathom_router_shed_total";
/// Counter by `experiment` and `arm`: arms that the guard rail has stopped.
pub(crate) const EXPERIMENT_ARMS_STOPPED_TOTAL: &str =
    "fathom_router_experiment_arms_stopped_total";

/// Counter: requests of experiments that cannot be scored, because too many waited to be written.
pub(crate) const EXPERIMENT_REQUESTS_LOST_TOTAL: &str =
    "fathom_router_experiment_requests_lost_total";

/// Counter by `model`: trials of versions that this router ended because they went badly.
pub(crate) const TRIALS_ENDED_TOTAL: &str = "fathom_router_trials_ended_total";

//! Names of what the worker measures.

use metrics::{describe_counter, describe_gauge};

/// Describes the metrics to the recorder; call once at start.
pub fn describe() {
    describe_gauge!(RUNNING, "Generations that run, by engine.");
    describe_gauge!(QUEUED, "Requests that wait for their turn, by engine.");
    describe_counter!(
        REFUSED_TOTAL,
        "Requests refused their turn, by engine and reason."
    );
    describe_counter!(TOKENS_TOTAL, "Tokens, by model and kind.");
    describe_counter!(
        USAGE_ESTIMATED_TOTAL,
        "Answers of upstreams without token counts, which were estimated, by engine."
    );
}

/// Gauge by `engine`: generations that run.
pub(crate) const RUNNING: &str = "fathom_worker_running";

/// Gauge by `engine`: requests that wait for their turn.
pub(crate) const QUEUED: &str = "fathom_worker_queued";

/// Counter by `engine` and `reason`: requests that were refused their turn. The reason is `full`,
/// `age` or `deadline`.
pub(crate) const REFUSED_TOTAL: &str = "fathom_worker_refused_total";

/// Counter by `model` and `kind` (`prompt` or `completion`): tokens.
pub(crate) const TOKENS_TOTAL: &str = "fathom_worker_tokens_total";

/// Counter by `engine`: answers whose upstream did not count their tokens, so that the counts are
/// estimates.
pub(crate) const USAGE_ESTIMATED_TOTAL: &str = "fathom_worker_usage_estimated_total";

//! Names of what the worker measures.

/// Gauge by `engine`: generations that run.
pub(crate) const RUNNING: &str = "fathom_worker_running";

/// Gauge by `engine`: requests that wait for their turn.
pub(crate) const QUEUED: &str = "fathom_worker_queued";

/// Counter by `engine` and `reason`: requests that were refused their turn. The reason is `full`,
/// `age` or `deadline`.
pub(crate) const REFUSED_TOTAL: &str = "fathom_worker_refused_total";

/// Counter by `model` and `kind` (`prompt` or `completion`): tokens.
pub(crate) const TOKENS_TOTAL: &str = "fathom_worker_tokens_total";

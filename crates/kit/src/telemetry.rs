//! Log lines on standard error, and the recorder behind `/metrics`.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::shutdown::Shutdown;

/// `[telemetry]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What to log, in the syntax of `tracing_subscriber::EnvFilter`: `info`, or
    /// `info,fathom_router=debug`.
    pub log: String,
    /// Shape of a log line.
    pub format: Format,
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`TelemetryError::Filter`].
    pub fn validate(&self) -> Result<(), TelemetryError> {
        self.filter().map(|_| ())
    }

    fn filter(&self) -> Result<EnvFilter, TelemetryError> {
        EnvFilter::try_new(&self.log).map_err(|_| TelemetryError::Filter {
            filter: self.log.clone(),
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // llama.cpp writes a hundred lines per load at the level info.
            log: "info,llama-cpp-2=warn,llama_cpp_2=warn".to_owned(),
            format: Format::Auto,
        }
    }
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Why telemetry does not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is malformed.
    #[error(
        "`telemetry.log`: `{filter}` is no log filter; write info, or info,fathom_router=debug"
    )]
    Filter {
        /// What was configured.
        filter: String,
    },
    /// Another part of the process has installed a recorder or subscriber.
    #[error("telemetry is set up twice in this process")]
    Twice,
}

/// Sends log lines to standard error from here on.
///
/// # Errors
/// A malformed filter, or a second call in one process.
pub fn init_logs(config: &Config) -> Result<(), TelemetryError> {
    let filter = config.filter()?;
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let json = match config.format {
        Format::Auto => !terminal,
        Format::Text => false,
        Format::Json => true,
    };
    let installed = if json {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init()
    } else {
        lines.with_ansi(terminal).try_init()
    };
    installed.map_err(|_| TelemetryError::Twice)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Says where, and not what: the text of a panic may quote the data it stumbled over.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    tracing::error!(panic.location = location, "a bug ended a task");
}

/// Bounds of latency histograms in seconds, from a cached answer to a long generation.
const LATENCY_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Installs the recorder of this process.
///
/// # Errors
/// A second call in one process.
pub fn init_metrics() -> Result<PrometheusHandle, TelemetryError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), LATENCY_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|_| TelemetryError::Twice)
}

/// Keeps the recorder's buffers small; histograms grow until somebody scrapes otherwise.
pub fn spawn_upkeep(metrics: PrometheusHandle, shutdown: &Shutdown) {
    let stop = shutdown.clone();
    shutdown.spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        loop {
            tokio::select! {
                _ = ticks.tick() => metrics.run_upkeep(),
                () = stop.draining() => return,
            }
        }
    });
}

//! The process-wide llama.cpp backend.

use std::sync::LazyLock;

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::{LlamaCppError, LogOptions, send_logs_to_tracing};

use crate::LoadError;

/// The backend, initialised on first use and kept until the process ends.
///
/// From then on llama.cpp's log lines are `tracing` events of the target
/// `llama-cpp-2`, at the level llama.cpp gives them.
pub(crate) fn backend() -> Result<&'static LlamaBackend, LoadError> {
    static BACKEND: LazyLock<Result<LlamaBackend, LlamaCppError>> = LazyLock::new(|| {
        send_logs_to_tracing(LogOptions::default());
        LlamaBackend::init()
    });
    BACKEND.as_ref().map_err(|_| LoadError::Backend)
}

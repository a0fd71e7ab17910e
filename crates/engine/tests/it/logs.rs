//! Where llama.cpp's own log lines go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fathom_engine::Weights;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::harness::{Result, model_path};

/// Counts events by target and level.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<BTreeMap<(String, Level), usize>>>);

impl Subscriber for Counter {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let key = (metadata.target().to_owned(), *metadata.level());
        if let Ok(mut counts) = self.0.lock() {
            *counts.entry(key).or_default() += 1;
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn llama_cpp_log_lines_are_traced() -> Result {
    let path = model_path()?;
    let counter = Counter::default();
    tracing::subscriber::with_default(counter.clone(), || Weights::load(&path))?;
    let counts = counter.0.lock().map_err(|error| error.to_string())?;
    let info = ("llama-cpp-2".to_owned(), Level::INFO);
    assert!(counts.get(&info).is_some_and(|&count| count > 10));
    Ok(())
}

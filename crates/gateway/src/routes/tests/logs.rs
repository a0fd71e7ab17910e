//! The log lines that requests of a test leave.

use std::fmt::Debug;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// What is logged on this thread from now on. Tests have one thread each.
pub fn capture() -> Logged {
    // While there is one subscriber alone, tracing asks that of the thread which comes to a line of
    // the code first, has none for other tests, and never asks again.
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Lines::default()));
    LazyLock::force(&SECOND);
    let lines = Lines::default();
    Logged {
        lines: lines.clone(),
        _guard: set_default(lines),
    }
}

pub struct Logged {
    lines: Lines,
    _guard: DefaultGuard,
}

impl Logged {
    /// The lines of requests that have ended.
    pub fn lines(&self) -> Vec<Map<String, Value>> {
        let lines = self.lines.0.lock().unwrap();
        let ended = lines.iter().filter(|it| it["message"] == "request ended");
        ended.cloned().collect()
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Map<String, Value>>>>);

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0
            .insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

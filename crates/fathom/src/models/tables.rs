//! Models as people read them.

use fathom_proto::models::{ManagedModel, ModelChange, ModelState, ModelVersion};

use crate::admin::output::{Tabular, time};

impl Tabular for ManagedModel {
    const HEADINGS: &[&str] = &[
        "model",
        "answers",
        "rollback to",
        "fallback",
        "hedging",
        "context",
        "owned by",
        "created",
        "last change",
    ];

    fn cells(&self) -> Vec<String> {
        let state = &self.state;
        let previous: Vec<_> = state.previous.iter().map(u32::to_string).collect();
        let fallback = state.fallback.as_ref().map(ToString::to_string);
        vec![
            self.id.to_string(),
            answers(state),
            or_dash(previous.join(",")),
            or_dash(fallback.unwrap_or_default()),
            if state.hedging { "on" } else { "off" }.to_owned(),
            self.context_length.to_string(),
            self.owned_by.clone(),
            time(self.created_at),
            self.last_change.to_string(),
        ]
    }
}

impl Tabular for ModelVersion {
    const HEADINGS: &[&str] = &[
        "version",
        "target",
        "parameters",
        "created",
        "created by",
        "note",
    ];

    fn cells(&self) -> Vec<String> {
        let parameters = serde_json::to_string(&self.parameters);
        vec![
            self.number.to_string(),
            self.target.to_string(),
            parameters.unwrap_or_default(),
            time(self.created_at),
            self.created_by.clone(),
            or_dash(self.note.clone()),
        ]
    }
}

impl Tabular for ModelChange {
    const HEADINGS: &[&str] = &["change", "at", "actor", "action", "from", "to", "why"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            time(self.at),
            self.actor.clone(),
            self.action.clone(),
            answers(&self.from),
            answers(&self.to),
            or_dash(self.why.clone()),
        ]
    }
}

/// The version that answers, and the one that is tried out.
fn answers(state: &ModelState) -> String {
    let stable = state
        .stable
        .map_or_else(|| "-".to_owned(), |it| it.to_string());
    match &state.canary {
        None => stable,
        Some(canary) => format!("{stable}, {} at {} %", canary.version, canary.percent),
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

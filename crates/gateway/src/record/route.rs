//! What the router chose for a request, as callers and log lines are told.

use std::borrow::Cow;

use fathom_api::stream::AnsweredBy;
use fathom_proto::inference::Route;
use http::{HeaderMap, HeaderName, HeaderValue};

const MODEL: HeaderName = HeaderName::from_static("x-fathom-model");
const MODEL_VERSION: HeaderName = HeaderName::from_static("x-fathom-model-version");
const CONFIG_VERSION: HeaderName = HeaderName::from_static("x-fathom-config-version");
const EXPERIMENT: HeaderName = HeaderName::from_static("x-fathom-experiment");

/// Says it in the head of an answer.
pub fn tell(route: &Route, headers: &mut HeaderMap) {
    headers.insert(CONFIG_VERSION, route.config_version.into());
    if let Some(version) = route.version {
        headers.insert(MODEL_VERSION, version.into());
    }
    let texts = [
        (MODEL, Some(Cow::Borrowed(route.model.as_str()))),
        (EXPERIMENT, experiment(route).map(Cow::Owned)),
    ];
    for (name, text) in texts {
        // A name that no header can hold is left out.
        if let Some(Ok(value)) = text.map(|text| HeaderValue::from_str(&text)) {
            headers.insert(name, value);
        }
    }
}

/// The same as a message on a socket has it.
pub fn answered_by(route: &Route) -> AnsweredBy {
    AnsweredBy {
        model: route.model.to_string(),
        version: route.version,
        config_version: route.config_version,
        experiment: experiment(route),
    }
}

/// `NAME/ARM`
pub fn experiment(route: &Route) -> Option<String> {
    let assignment = route.experiment.as_ref()?;
    Some(format!("{}/{}", assignment.experiment, assignment.arm))
}

//! Fields of the public request that the gateway does not know, for engines of ours.

use fathom_proto::inference::Json;
use serde_json::{Map, Value};

use crate::Error;

/// The fields, none of which changes what the caller gets back: [`Error::Unsupported`] names one
/// that would, unless its value asks for nothing.
pub(super) fn harmless(extra: Option<&Json>) -> Result<Map<String, Value>, Error> {
    let Some(Json(text)) = extra else {
        return Ok(Map::new());
    };
    let fields: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| Error::Unsupported {
            param: "extra".to_owned(),
            problem: format!("it is no JSON object: {error}"),
        })?;
    for (name, value) in &fields {
        let asks_for_nothing = match name.as_str() {
            "best_of" => value.as_u64() == Some(1),
            "functions" => value.as_array().is_some_and(Vec::is_empty),
            "function_call" => value.as_str() == Some("none"),
            "modalities" => value
                .as_array()
                .is_some_and(|kinds| kinds.iter().all(|kind| kind == "text")),
            "audio" | "prediction" | "web_search_options" => false,
            _ => true,
        };
        if !asks_for_nothing && !value.is_null() {
            return Err(Error::Unsupported {
                param: name.clone(),
                problem: "leave it out".to_owned(),
            });
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_changes_the_answer_is_refused_by_name_and_others_pass() {
        let check = |text: &str| harmless(Some(&Json(text.to_owned())));
        let fields = check(r#"{"metadata": {}, "audio": null, "modalities": ["text"]}"#);
        assert_eq!(fields.unwrap().len(), 3);
        let error = check(r#"{"user": "me", "functions": [{}]}"#).unwrap_err();
        assert!(matches!(error, Error::Unsupported { param, .. } if param == "functions"));
        assert!(check("[]").is_err());
    }
}

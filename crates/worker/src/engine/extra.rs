//! Fields of the public request that the gateway does not know, for engines of ours.

use fathom_proto::inference::{ChatMessage, Json};
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
    match fields
        .iter()
        .find(|(name, value)| !is_harmless(name, value))
    {
        Some((name, _)) => Err(Error::Unsupported {
            param: name.clone(),
            problem: "leave it out".to_owned(),
        }),
        None => Ok(fields),
    }
}

/// Makes a turn of a conversation the text that engines of ours read. [`Error::Unsupported`] names
/// what says more, by the number of the turn.
pub(super) fn plain(index: usize, turn: &mut ChatMessage) -> Result<(), Error> {
    let unsupported = |name: &str, problem: &str| Error::Unsupported {
        param: format!("messages[{index}]{name}"),
        problem: problem.to_owned(),
    };
    if let Some(Json(text)) = &turn.extra {
        let fields: Map<String, Value> = serde_json::from_str(text)
            .map_err(|_| unsupported("", "what it has besides is no JSON object"))?;
        if let Some(name) = says_more(&fields) {
            return Err(unsupported(&format!(".{name}"), "leave it out"));
        }
    }
    let Some(Json(parts)) = turn.parts.take() else {
        return Ok(());
    };
    let parts: Vec<Map<String, Value>> = serde_json::from_str(&parts)
        .map_err(|_| unsupported(".content", "it is no list of parts"))?;
    for mut part in parts {
        match (part.remove("type"), part.remove("text")) {
            (Some(Value::String(kind)), Some(Value::String(text)))
                if kind == "text" && says_more(&part).is_none() =>
            {
                turn.content.push_str(&text);
            }
            _ => {
                let problem = "it reads text only; leave other parts out";
                return Err(unsupported(".content", problem));
            }
        }
    }
    Ok(())
}

/// The name of a field that would change what is said. Hints on caches of others do not.
fn says_more(fields: &Map<String, Value>) -> Option<&str> {
    let says_nothing =
        |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    let is_hint = |name: &str| matches!(name, "cache_control" | "prompt_cache_breakpoint");
    let mut fields = fields.iter();
    let more = fields.find(|(name, value)| !says_nothing(value) && !is_hint(name));
    more.map(|(name, _)| name.as_str())
}

/// Whether the answer is what was asked for although nothing comes of the field here. What is not
/// known is not: it may be anything.
fn is_harmless(name: &str, value: &Value) -> bool {
    value.is_null()
        || match name {
            // Who asks and what for, which others look at, and hints on caches of others.
            "user"
            | "user_id"
            | "safety_identifier"
            | "metadata"
            | "prompt_cache_key"
            | "prompt_cache_options"
            | "prompt_cache_retention" => true,
            // Read by the engines that can do something about it.
            "thinking" | "reasoning_effort" | "sim" => true,
            "best_of" => value == 1,
            "functions" => value.as_array().is_some_and(Vec::is_empty),
            "function_call" => value == "none",
            "modalities" => value
                .as_array()
                .is_some_and(|kinds| kinds.iter().all(|kind| kind == "text")),
            "store" => value == false,
            "service_tier" => value == "auto" || value == "default",
            "verbosity" => value == "medium",
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use fathom_proto::inference::ChatRole;

    use super::*;

    #[test]
    fn a_field_that_changes_the_answer_is_refused_by_name_and_others_pass() {
        let check = |text: &str| harmless(Some(&Json(text.to_owned())));
        let fields = check(r#"{"metadata": {}, "audio": null, "modalities": ["text"]}"#);
        assert_eq!(fields.unwrap().len(), 3);
        let error = check(r#"{"user": "me", "functions": [{}]}"#).unwrap_err();
        assert!(matches!(error, Error::Unsupported { param, .. } if param == "functions"));
        assert!(check("[]").is_err());
        assert!(check(r#"{"repetition_penalty": 1.1}"#).is_err());
    }

    fn turn(parts: Option<&str>, extra: &str) -> ChatMessage {
        let mut turn = ChatMessage::new(ChatRole::User, "");
        turn.parts = parts.map(|parts| Json(parts.to_owned()));
        turn.extra = Some(Json(extra.to_owned()));
        turn
    }

    #[test]
    fn what_a_turn_says_in_a_field_that_nobody_reads_is_refused() {
        let check = |extra: &str| plain(3, &mut turn(None, extra));
        assert!(check(r#"{"refusal": null, "annotations": [], "cache_control": {}}"#).is_ok());
        let error = check(r#"{"refusal": "no"}"#).unwrap_err();
        assert!(
            matches!(error, Error::Unsupported { param, .. } if param == "messages[3].refusal")
        );
    }

    #[test]
    fn parts_that_are_text_are_read_and_others_are_refused() {
        let hint = r#"{"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}"#;
        let mut two = turn(
            Some(&format!(r#"[{{"type": "text", "text": "a"}}, {hint}]"#)),
            "{}",
        );
        plain(0, &mut two).unwrap();
        assert_eq!((&*two.content, two.parts.is_none()), ("ab", true));
        for part in [
            r#"{"type": "image_url", "image_url": {"url": "u"}}"#,
            r#"{"type": "text", "text": "a", "language": "de"}"#,
        ] {
            let error = plain(1, &mut turn(Some(&format!("[{part}]")), "{}")).unwrap_err();
            assert!(
                matches!(error, Error::Unsupported { param, .. } if param == "messages[1].content")
            );
        }
    }

    /// Each row of the table in docs/wire.md whose field reaches the engines.
    #[test]
    fn every_field_that_passes_is_as_the_table_says() {
        let wire = include_str!("../../../../docs/wire.md");
        let mut rows = 0;
        for line in wire.lines() {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [field, value, "passes", here] = cells[..] else {
                continue;
            };
            let text = format!(
                "{{\"{}\": {}}}",
                field.trim_matches('`'),
                value.trim_matches('`')
            );
            let refused = harmless(Some(&Json(text))).is_err();
            assert_eq!(refused, here == "refused", "{line}");
            rows += 1;
        }
        assert!(rows > 10, "{rows}");
    }
}

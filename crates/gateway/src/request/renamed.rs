//! Errors from behind, which name fields as a chat has them, for other dialects.

use fathom_proto::Error;

/// The error in a dialect that has a conversation in `turns`, and other `names` for parts of a
/// field's name. Which turn of a chat it was is of no use there: the numbers differ.
pub fn renamed(mut error: Error, turns: &str, names: &[(&str, &str)]) -> Error {
    let Some(param) = error.param.take() else {
        return error;
    };
    let here = if param == "messages" || param.starts_with("messages[") {
        turns.to_owned()
    } else {
        let name = |param: String, (chat, here): &(&str, &str)| param.replace(chat, here);
        names.iter().fold(param.clone(), name)
    };
    if here != param {
        let [quoted, new] = [&param, &here].map(|name| format!("`{name}`"));
        error.message = error.message.replace(&quoted, &new);
    }
    error.param = Some(here);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_field_that_the_caller_sent() {
        let names = [(".function.parameters", ".input_schema")];
        for (param, here) in [
            ("messages[3].content", "input"),
            ("messages", "input"),
            ("tools[2].function.parameters", "tools[2].input_schema"),
            ("model", "model"),
        ] {
            let error = Error::invalid(param, format!("`{param}` is wrong"));
            let error = renamed(error, "input", &names);
            assert_eq!(error.param.as_deref(), Some(here));
            assert_eq!(error.message, format!("`{here}` is wrong"));
        }
    }
}

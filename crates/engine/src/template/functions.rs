//! What chat templates may call beside Jinja's own filters and functions.

use jiff::Timestamp;
use jiff::fmt::strtime;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value, filters};

/// The cause of an error that the template raised itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Raised(pub(super) String);

/// Adds the functions and the filter.
pub(super) fn add_to(environment: &mut Environment<'_>) {
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment.add_filter("tojson", tojson);
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(
        Error::new(ErrorKind::InvalidOperation, "raised by the template")
            .with_source(Raised(message)),
    )
}

/// The time now, in UTC so that every host renders the same prompt.
fn strftime_now(format: String) -> Result<String, Error> {
    strtime::format(format, Timestamp::now())
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// Python's `json.dumps(value, ensure_ascii=False)`: minijinja's filter without
/// its escapes for HTML.
fn tojson(value: &Value, indent: Option<Value>, arguments: Kwargs) -> Result<Value, Error> {
    arguments.get::<Option<bool>>("ensure_ascii")?;
    let json = filters::tojson(value, indent, arguments)?;
    Ok(without_html_escapes(json.as_str().unwrap_or_default()).into())
}

fn without_html_escapes(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, escape)) = rest.split_once('\\') {
        plain.push_str(before);
        let html = [
            ("u003c", '<'),
            ("u003e", '>'),
            ("u0026", '&'),
            ("u0027", '\''),
        ];
        let found = html
            .iter()
            .find_map(|&(code, char)| Some((escape.strip_prefix(code)?, char)));
        rest = match found {
            Some((after, char)) => {
                plain.push(char);
                after
            }
            None => {
                // The escaped character may itself be a backslash.
                let (escaped, after) = escape.split_at(escape.len().min(1));
                plain.push('\\');
                plain.push_str(escaped);
                after
            }
        };
    }
    plain.push_str(rest);
    plain
}

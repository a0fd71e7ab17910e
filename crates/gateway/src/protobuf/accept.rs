//! Which format the caller wants its answer in (RFC 9110, section 12.5.1).

use http::{HeaderMap, header};

use super::{Format, PROTOBUF};
use crate::json::JSON;

/// How much the caller wants each format, from 0 to 1; `None`: it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Accept {
    json: Option<f32>,
    protobuf: Option<f32>,
}

impl Accept {
    /// What the `Accept` headers say. A range that cannot be read counts for nothing.
    pub fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter();
        let mut ranges: Vec<_> = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(range)
            .collect();
        // Of the ranges that fit, the one that says most counts.
        ranges.sort_by_key(|(name, _)| specificity(name));
        let mut accept = Self::default();
        for (name, weight) in ranges {
            if covers(name, JSON) {
                accept.json = Some(weight);
            }
            if covers(name, PROTOBUF) {
                accept.protobuf = Some(weight);
            }
        }
        accept
    }

    /// The format of the answer to a request in the format `asked`: the one that is wanted more, or
    /// else the same. A caller that takes neither gets JSON, as everybody did before.
    pub fn format(self, asked: Format) -> Format {
        let (json, protobuf) = (self.json.unwrap_or(0.0), self.protobuf.unwrap_or(0.0));
        match (self.json, self.protobuf) {
            (None, None) => asked,
            _ if protobuf > json => Format::Protobuf,
            _ if json > protobuf || json == 0.0 => Format::Json,
            _ => asked,
        }
    }

    /// Whether messages are taken and JSON is not.
    pub fn is_protobuf_alone(self) -> bool {
        self.protobuf.is_some_and(|weight| weight > 0.0)
            && !self.json.is_some_and(|weight| weight > 0.0)
    }
}

/// A media range and its weight.
fn range(text: &str) -> Option<(&str, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = parts.find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case("q").then_some(value.trim())
    });
    let weight: f32 = weight.map_or(Ok(1.0), str::parse).ok()?;
    (0.0..=1.0).contains(&weight).then_some((name, weight))
}

fn specificity(range: &str) -> u8 {
    match range {
        "*/*" => 0,
        range if range.ends_with("/*") => 1,
        _ => 2,
    }
}

fn covers(range: &str, media_type: &str) -> bool {
    match range.strip_suffix("/*") {
        Some("*") => true,
        Some(class) => media_type
            .split_once('/')
            .is_some_and(|(it, _)| it.eq_ignore_ascii_case(class)),
        None => range.eq_ignore_ascii_case(media_type),
    }
}

#[cfg(test)]
mod tests {
    use super::Format::{Json, Protobuf};
    use super::*;

    fn accept(value: &str) -> Accept {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value.parse().unwrap());
        Accept::of(&headers)
    }

    #[test]
    fn the_format_that_is_wanted_more_is_answered_in() {
        for (value, to_json, to_protobuf) in [
            ("*/*", Json, Protobuf),
            ("", Json, Protobuf),
            ("application/*", Json, Protobuf),
            ("application/json", Json, Json),
            ("application/x-protobuf", Protobuf, Protobuf),
            ("Application/X-Protobuf;Q=1", Protobuf, Protobuf),
            (
                "application/x-protobuf; encoding=delimited",
                Protobuf,
                Protobuf,
            ),
            ("application/x-protobuf, */*;q=0.1", Protobuf, Protobuf),
            (
                "application/json;q=0.2, application/x-protobuf;q=0.1",
                Json,
                Json,
            ),
            ("application/json, application/x-protobuf", Json, Protobuf),
            ("*/*, application/x-protobuf;q=0", Json, Json),
            ("text/event-stream", Json, Protobuf),
            ("application/x-protobuf;q=2", Json, Protobuf),
        ] {
            let accept = accept(value);
            assert_eq!(accept.format(Json), to_json, "{value}");
            assert_eq!(accept.format(Protobuf), to_protobuf, "{value}");
        }
        assert_eq!(Accept::of(&HeaderMap::new()).format(Json), Json);
        assert_eq!(Accept::of(&HeaderMap::new()).format(Protobuf), Protobuf);
    }

    #[test]
    fn errors_are_json_unless_nothing_but_protobuf_is_taken() {
        assert!(accept("application/x-protobuf").is_protobuf_alone());
        for value in [
            "*/*",
            "",
            "application/json",
            "application/x-protobuf, */*;q=0.1",
        ] {
            assert!(!accept(value).is_protobuf_alone(), "{value}");
        }
    }
}

//! Where a JSON value ends.

/// Follows one JSON value that arrives in pieces, from its first character on.
///
/// It only tells the value's end; whether it is valid inside is not looked at.
#[derive(Default)]
pub(super) struct JsonValue {
    begun: bool,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl JsonValue {
    /// How many bytes of `text` belong to the value, if it ends in `text`.
    pub(super) fn push(&mut self, text: &str) -> Option<usize> {
        for (at, byte) in text.bytes().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => {
                        self.in_string = false;
                        if self.depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                // A number or a word has no end of its own.
                b'}' | b']' | b',' | b' ' | b'\n' | b'\r' | b'\t'
                    if self.depth == 0 && self.begun =>
                {
                    return Some(at);
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            self.begun = true;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_where_json_says() {
        for (text, value) in [
            (
                r#"{"a": "}\"", "b": [1, {}]} x"#,
                r#"{"a": "}\"", "b": [1, {}]}"#,
            ),
            (r#""a\\" x"#, r#""a\\""#),
            ("[[], []]]", "[[], []]"),
            ("12.5}", "12.5"),
            ("null, 1", "null"),
        ] {
            let end = JsonValue::default().push(text);
            assert_eq!(end.map(|end| &text[..end]), Some(value));
        }
        assert_eq!(JsonValue::default().push(r#"{"a": "}""#), None);
        assert_eq!(JsonValue::default().push("12"), None);
    }
}

//! What is sent to another server for its operator's eyes, and must not come back in an error.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use crate::Error;

/// Shorter words are no keys, and part of many a text.
const SHORTEST: usize = 4;

/// Most characters of another server's text that are passed on or logged.
const MAX_TEXT: usize = 1000;

/// The key of one request, and the values of the configured headers, any of which may be another.
#[derive(Clone)]
pub(super) struct Secrets {
    headers: Arc<[String]>,
    pub key: Option<HeaderValue>,
}

impl Secrets {
    /// The words of these headers, and no key yet.
    pub fn of(headers: &HeaderMap) -> Self {
        let values = headers.values().filter(|value| value.is_sensitive());
        let headers = values.flat_map(words).map(str::to_owned);
        Self {
            headers: headers.collect(),
            key: None,
        }
    }

    /// The same headers beside the key of a request.
    pub fn with(&self, key: Option<HeaderValue>) -> Self {
        Self {
            headers: self.headers.clone(),
            key,
        }
    }

    /// The same error without them, and no longer than anybody reads.
    pub fn redact(&self, mut error: Error) -> Error {
        let Error::Upstream(upstream) = &mut error else {
            return error;
        };
        let key = self.key.as_ref().and_then(|key| key.to_str().ok());
        let key = key.and_then(|key| key.strip_prefix("Bearer "));
        let mut words: Vec<&str> = self.headers.iter().map(String::as_str).chain(key).collect();
        // One may be the beginning of another, of which the end would stay.
        words.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
        for text in upstream.words() {
            for word in &words {
                if text.contains(word) {
                    *text = text.replace(word, "***");
                }
            }
            if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
                text.truncate(end);
            }
        }
        error
    }
}

/// The words of a header, in which a key may stand beside its scheme or name.
fn words(value: &HeaderValue) -> impl Iterator<Item = &str> {
    let value = value.to_str().unwrap_or_default();
    let words = value.split(|letter: char| letter.is_whitespace() || ",;=\"".contains(letter));
    words.filter(|word| word.len() >= SHORTEST)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;
    use crate::engine::upstream::UpstreamError;

    fn redacted(said: &str) -> String {
        let headers = [
            ("x-key", "abcd"),
            ("x-longer", "abcdef"),
            ("x-scheme", "Token ghijkl; team=mnopqr"),
            ("x-switch", "1"),
        ];
        let headers = headers.map(|(name, value)| {
            let mut value = HeaderValue::from_static(value);
            value.set_sensitive(true);
            (HeaderName::from_static(name), value)
        });
        let mut headers: HeaderMap = headers.into_iter().collect();
        headers.insert("x-open", HeaderValue::from_static("application"));
        let secrets = Secrets::of(&headers).with(Some(HeaderValue::from_static("Bearer s=t")));
        let error = UpstreamError::Refused {
            message: said.to_owned(),
            param: Some(said.to_owned()),
        };
        match secrets.redact(error.into()) {
            Error::Upstream(UpstreamError::Refused { message, param }) => {
                assert_eq!(Some(&message), param.as_ref());
                message
            }
            _ => panic!("the same error"),
        }
    }

    /// SEC-40
    #[test]
    fn each_word_that_may_be_a_key_is_taken_out_whole() {
        for (said, left) in [
            ("abcd abcdef", "*** ***"),
            ("Token ghijkl, or ghijkl", "*** ***, or ***"),
            ("team mnopqr in 1 application", "*** *** in 1 application"),
            ("s=t and s", "*** and s"),
        ] {
            assert_eq!(redacted(said), left);
        }
    }

    #[test]
    fn a_key_is_taken_out_before_a_text_is_cut() {
        let cut = redacted(&format!("{}abcdef and more", "é".repeat(MAX_TEXT - 3)));
        assert!(
            cut.ends_with("é***") && cut.chars().count() == MAX_TEXT,
            "{cut}"
        );
    }
}

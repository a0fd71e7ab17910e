//! Who asks, in the caller's own words.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use fathom_api::sampling::Extra;
use fathom_proto::id::UserId;

/// Longest name that travels as it is; most are ids.
const MAX_BYTES: usize = 64;
/// OpenAI's field, its predecessor, and DeepSeek's.
const FIELDS: [&str; 3] = ["safety_identifier", "user", "user_id"];

/// The user that a request names, for upstreams as well as for us; a long name is hashed. What is
/// no text, or empty, is theirs to judge, and names nobody.
pub fn user(extra: &Extra) -> Option<UserId> {
    let mut names = FIELDS
        .iter()
        .filter_map(|field| extra.get(*field)?.as_str());
    let name = names.find(|name| !name.is_empty())?;
    if name.len() <= MAX_BYTES {
        return Some(name.into());
    }
    let hash = digest(&SHA256, name.as_bytes());
    Some(BASE64_URL_SAFE_NO_PAD.encode(hash).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(extra: serde_json::Value) -> Option<String> {
        let extra: Extra = serde_json::from_value(extra).unwrap();
        user(&extra).map(|user| user.to_string())
    }

    #[test]
    fn the_newest_field_wins() {
        let all = json!({"user_id": "c", "user": "b", "safety_identifier": "a"});
        assert_eq!(of(all), Some("a".to_owned()));
        assert_eq!(
            of(json!({"user_id": "c", "user": "b"})),
            Some("b".to_owned())
        );
        assert_eq!(of(json!({"user_id": "c"})), Some("c".to_owned()));
        assert_eq!(
            of(json!({"user": "", "user_id": "c"})),
            Some("c".to_owned())
        );
        assert_eq!(of(json!({"user": null, "safety_identifier": 5})), None);
    }

    #[test]
    fn a_long_name_is_bounded_and_still_one_of_a_kind() {
        let name = "a".repeat(64);
        assert_eq!(of(json!({"user": name})), Some(name));
        let [one, other] = ["b", "c"].map(|end| {
            let name = "a".repeat(100_000) + end;
            of(json!({"user": name})).unwrap()
        });
        assert_eq!((one.len(), other.len()), (43, 43));
        assert_ne!(one, other);
    }
}

//! What the fields of requests may hold. Texts that no row can have do not reach the database:
//! PostgreSQL takes no NUL, and a long one is not worth its way.

use std::collections::HashSet;

use fathom_proto::administration::Page;
use fathom_proto::id::ModelId;
use fathom_proto::identity::Scopes;
use fathom_token::PublicKey;

use crate::Error;

/// Longest id of anything, in bytes.
const MAX_ID_BYTES: usize = 64;
const MAX_NAME_CHARS: usize = 200;
const MAX_MODELS: usize = 100;
const MAX_MODEL_BYTES: usize = 200;
const MAX_PUBLIC_KEYS: usize = 10;
const MAX_JWKS_BYTES: usize = 32 * 1024;

/// End of the year 9999: a later time is given in milliseconds, by mistake.
const MAX_TIME: i64 = 253_402_300_799;

fn invalid<T>(field: &'static str, problem: &'static str) -> Result<T, Error> {
    Err(Error::InvalidField { field, problem })
}

/// An id that something could have.
pub(super) fn id<'a>(id: &'a str, what: &'static str) -> Result<&'a str, Error> {
    if is_id(id) {
        Ok(id)
    } else {
        Err(Error::NotFound(what))
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

pub(super) fn new_tenant_id(id: &str) -> Result<(), Error> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    if is_id(id) && id.bytes().all(allowed) {
        Ok(())
    } else {
        invalid("id", "must be 1 to 64 of a-z, 0-9, `-`, `_` and `.`")
    }
}

pub(super) fn name(name: &str) -> Result<(), Error> {
    // Four bytes a character at most, so that a long text is not counted to its end.
    let fits = name.len() <= 4 * MAX_NAME_CHARS && name.chars().count() <= MAX_NAME_CHARS;
    if !fits || name.trim().is_empty() || name.contains(char::is_control) {
        return invalid(
            "name",
            "must be 1 to 200 characters, none of them a control character",
        );
    }
    Ok(())
}

pub(super) fn scopes(scopes: Scopes) -> Result<(), Error> {
    if scopes.is_empty() {
        return invalid("scopes", "must name at least one scope");
    }
    Ok(())
}

pub(super) fn models(models: Option<&[ModelId]>) -> Result<(), Error> {
    let Some(models) = models else { return Ok(()) };
    if !(1..=MAX_MODELS).contains(&models.len()) {
        return invalid(
            "models",
            "must name 1 to 100 models; leave it out to allow all",
        );
    }
    if !models.iter().all(is_model) {
        return invalid(
            "models",
            "must be names of 1 to 200 printable ASCII characters, without spaces",
        );
    }
    Ok(())
}

pub(super) fn model(model: Option<&ModelId>) -> Result<(), Error> {
    if model.is_none_or(is_model) {
        return Ok(());
    }
    invalid(
        "model",
        "must be a name of 1 to 200 printable ASCII characters, without spaces",
    )
}

fn is_model(model: &ModelId) -> bool {
    let name = model.as_str();
    (1..=MAX_MODEL_BYTES).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
}

/// The end of something that is made at `now`.
pub(super) fn new_end(expires_at: Option<i64>, now: i64) -> Result<(), Error> {
    end(expires_at)?;
    if expires_at.is_some_and(|end| end <= now) {
        return invalid("expires_at", "must be in the future");
    }
    Ok(())
}

/// An end; that of something that is there may be in the past.
pub(super) fn end(expires_at: Option<i64>) -> Result<(), Error> {
    if expires_at.is_none_or(|end| (0..=MAX_TIME).contains(&end)) {
        return Ok(());
    }
    invalid(
        "expires_at",
        "must be in seconds since the epoch, and before the year 10000",
    )
}

/// Public keys that client assertions can be verified with.
pub(super) fn jwks(jwks: &serde_json::Value) -> Result<(), Error> {
    if jwks.to_string().len() > MAX_JWKS_BYTES {
        return invalid("jwks", "must be at most 32 KiB");
    }
    let Ok(keys) = PublicKey::from_jwks(jwks) else {
        return invalid(
            "jwks",
            "must be a JWK set (RFC 7517) of public keys: Ed25519, P-256, or RSA of at least \
             2048 bits",
        );
    };
    if !(1..=MAX_PUBLIC_KEYS).contains(&keys.len()) {
        return invalid("jwks", "must hold 1 to 10 keys");
    }
    let kids: HashSet<_> = keys.iter().filter_map(|key| key.kid.as_deref()).collect();
    if kids.len() != keys.len() || kids.contains("") {
        return invalid("jwks", "must give each key a `kid` of its own");
    }
    Ok(())
}

/// How many rows a page has.
pub(crate) fn page_limit(limit: u32) -> Result<i64, Error> {
    match limit {
        1..=Page::MAX_LIMIT => Ok(i64::from(limit)),
        _ => invalid("limit", "must be 1 to 1000"),
    }
}

/// After which id a page begins, and how many rows it has.
pub(super) fn page(page: &Page) -> Result<(&str, i64), Error> {
    let after = page.after.as_deref().unwrap_or_default();
    if !after.is_empty() && !is_id(after) {
        return invalid("after", "must be an id, as the last page ended with");
    }
    Ok((after, page_limit(page.limit())?))
}

/// An amount that the database can hold.
pub(super) fn amount(amount: Option<u64>) -> Result<Option<i64>, Error> {
    match amount.map(i64::try_from).transpose() {
        Ok(amount) => Ok(amount),
        Err(_) => invalid("limits", "must be amounts below 2^63"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_no_row_can_have_is_nobodys() {
        for text in ["", "a b", "a\0b", "\u{202e}", "ä", &"a".repeat(65)] {
            assert!(matches!(id(text, "client"), Err(Error::NotFound("client"))));
        }
        assert_eq!(id("'--", "client").unwrap(), "'--");
    }

    #[test]
    fn a_name_has_1_to_200_characters_of_any_script() {
        for good in [
            "a",
            "Büro für Öfen",
            &"ö".repeat(200),
            "'; DROP TABLE x; --",
        ] {
            name(good).unwrap();
        }
        for bad in [
            "",
            "  ",
            "a\0b",
            "a\nb",
            &"ö".repeat(201),
            &"a".repeat(1 << 20),
        ] {
            assert!(name(bad).is_err());
        }
    }

    #[test]
    fn a_time_in_milliseconds_is_refused() {
        assert!(end(Some(1_800_000_000)).is_ok());
        assert!(end(Some(1_800_000_000_000)).is_err());
        assert!(end(Some(-1)).is_err());
        assert!(new_end(Some(10), 10).is_err() && new_end(Some(11), 10).is_ok());
    }

    #[test]
    fn a_set_of_keys_has_names_and_nothing_private() {
        let key = |kid: &str, more: &str| {
            let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"{kid}{more}}}"#)
        };
        let set = |keys: &[String]| {
            serde_json::from_str(&format!(r#"{{"keys":[{}]}}"#, keys.join(","))).unwrap()
        };
        let (one, two) = (r#","kid":"1""#, r#","kid":"2""#);
        jwks(&set(&[key(one, ""), key(two, "")])).unwrap();
        for bad in [
            set(&[]),
            set(&[key("", "")]),
            set(&[key(one, ""), key(one, "")]),
            set(&[key(one, r#","d":"AA""#)]),
            set(&(0..11)
                .map(|i| key(&format!(r#","kid":"{i}""#), ""))
                .collect::<Vec<_>>()),
            serde_json::json!([]),
            serde_json::json!({ "keys": "x".repeat(MAX_JWKS_BYTES) }),
        ] {
            assert!(jwks(&bad).is_err(), "{bad}");
        }
    }
}

//! Fields of a change (RFC 7396): absent means as it is, `null` means without.

use serde::{Deserialize, Deserializer};

/// Reads a field that may be taken away; with `default`, an absent one is the outer `None`.
pub(crate) fn removable<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

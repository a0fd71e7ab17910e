//! A part of a long list.

use serde::{Deserialize, Serialize};

/// A part of a list that is in the order of its ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Page {
    /// What comes after this id; absent: from the beginning.
    pub after: Option<String>,
    /// How many, 1 to 1,000; absent: 100.
    pub limit: Option<u32>,
}

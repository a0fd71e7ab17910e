//! A part of a long list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of a list that is in the order of its ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Page {
    /// What comes after this id; absent: from the beginning.
    pub after: Option<String>,
    /// How many, 1 to 1,000; absent: 100.
    #[schemars(range(min = 1, max = Page::MAX_LIMIT))]
    pub limit: Option<u32>,
}

impl Page {
    /// How many are asked for where nothing else is said.
    pub const DEFAULT_LIMIT: u32 = 100;
    /// How many may be asked for.
    pub const MAX_LIMIT: u32 = 1_000;

    /// How many are asked for.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(Self::DEFAULT_LIMIT)
    }
}

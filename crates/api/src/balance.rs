//! `GET /user/balance`, which DeepSeek has.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a caller may spend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserBalance<'a> {
    /// Whether there is anything left to spend.
    pub is_available: bool,
    /// One for each currency; none where spending has no limit.
    pub balance_infos: Vec<BalanceInfo<'a>>,
}

/// Amounts in one currency: decimal numbers with two places, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BalanceInfo<'a> {
    /// `USD`; DeepSeek has `CNY` too.
    pub currency: Cow<'a, str>,
    /// The sum of the other two.
    pub total_balance: Cow<'a, str>,
    /// What was given.
    pub granted_balance: Cow<'a, str>,
    /// What was paid.
    pub topped_up_balance: Cow<'a, str>,
}

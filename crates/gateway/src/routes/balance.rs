//! `GET /user/balance`

use axum::{Extension, Json};
use fathom_api::balance::{BalanceInfo, UserBalance};

use crate::identity::Session;
use crate::limits::budget_micro_usd;

/// Micro-dollars in a cent.
const MICRO_USD: u64 = 10_000;

/// The tightest budget of the caller, of a day or of a month. Spending is not metered yet, so this
/// is all of it.
pub async fn retrieve(Extension(session): Extension<Session>) -> Json<UserBalance<'static>> {
    let budget = budget_micro_usd(session.principal());
    Json(UserBalance {
        is_available: budget.is_none_or(|budget| budget > 0),
        balance_infos: budget.map(info).into_iter().collect(),
    })
}

/// Rounded down: nobody has more than this says.
fn info(budget: u64) -> BalanceInfo<'static> {
    let cents = budget / MICRO_USD;
    let amount = format!("{}.{:02}", cents / 100, cents % 100);
    BalanceInfo {
        currency: "USD".into(),
        total_balance: amount.clone().into(),
        granted_balance: amount.into(),
        topped_up_balance: "0.00".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_dollars_with_two_places_rounded_down() {
        let told = |micro| info(micro).total_balance.into_owned();
        assert_eq!(
            [0, 9_999, 10_000, 5_000_000, 1_234_567_890].map(told),
            ["0.00", "0.00", "0.01", "5.00", "1234.56"]
        );
    }
}

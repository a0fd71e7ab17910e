//! Whether a JWT holds now. All times are in seconds since the epoch.

use crate::Refusal;

/// How far the clocks of issuer and verifier may be apart, in seconds.
pub const SKEW: i64 = 60;

/// Whether a token made at `iat` to end at `exp` holds at `now`.
pub fn check(iat: i64, exp: i64, now: i64) -> Result<(), Refusal> {
    let made = iat >= 0 && iat < exp && begun(Some(iat), now).is_ok();
    if made && !over(exp, now) {
        Ok(())
    } else {
        Err(Refusal::Times)
    }
}

/// Whether a token that holds from `nbf` on, if it says so, holds yet.
pub fn begun(nbf: Option<i64>, now: i64) -> Result<(), Refusal> {
    if nbf.is_none_or(|nbf| nbf <= now.saturating_add(SKEW)) {
        Ok(())
    } else {
        Err(Refusal::Times)
    }
}

/// Whether a token that ends at `exp` is over at `now`, whatever the clocks.
#[must_use]
pub fn over(exp: i64, now: i64) -> bool {
    now.saturating_sub(SKEW) >= exp
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Part of SEC-4: the edges of a token's times.
    #[test]
    fn a_token_holds_within_its_times_and_a_minute_around() {
        let (iat, exp) = (1_000, 2_000);
        for (now, holds) in [
            (iat - SKEW - 1, false),
            (iat - SKEW, true),
            (iat, true),
            (exp, true),
            (exp + SKEW - 1, true),
            (exp + SKEW, false),
            (i64::MAX, false),
        ] {
            assert_eq!(check(iat, exp, now).is_ok(), holds, "at {now}");
        }
        for (nbf, holds) in [
            (None, true),
            (Some(i64::MIN), true),
            (Some(iat + SKEW), true),
            (Some(iat + SKEW + 1), false),
            (Some(i64::MAX), false),
        ] {
            assert_eq!(begun(nbf, iat).is_ok(), holds, "{nbf:?}");
        }
        for (iat, exp) in [(5, 5), (6, 5), (-1, 5), (i64::MIN, i64::MAX)] {
            assert!(check(iat, exp, 5).is_err(), "{iat}..{exp}");
        }
    }
}

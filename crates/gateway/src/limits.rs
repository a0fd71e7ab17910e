//! How much a caller may use, as far as it is told. Nothing is metered yet: these are the limits
//! that were set, and not what is left of them.

use fathom_proto::id::ModelId;
use fathom_proto::identity::{Limits, Principal};
use http::{HeaderMap, HeaderName};

const LIMIT_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-limit-requests");
const LIMIT_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-limit-tokens");

/// The limits of a caller, of those that count everything and those that count `model`.
fn of<'a>(
    principal: &'a Principal,
    model: Option<&'a ModelId>,
) -> impl Iterator<Item = &'a Limits> {
    let holds = move |limit: &&'a fathom_proto::identity::Limit| {
        let target = &limit.target;
        let is_callers = target.tenant == principal.tenant
            && target
                .subject
                .as_ref()
                .is_none_or(|subject| *subject == principal.subject);
        is_callers && (target.model.is_none() || target.model.as_ref() == model)
    };
    principal.limits.iter().filter(holds).map(|it| &it.limits)
}

/// The tightest limits on the pace of a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    requests_per_minute: Option<u32>,
    tokens_per_minute: Option<u64>,
}

impl RateLimits {
    /// Those that hold for a request for `model`.
    pub fn of(principal: &Principal, model: &ModelId) -> Self {
        let limits = || of(principal, Some(model));
        Self {
            requests_per_minute: limits().filter_map(|it| it.requests_per_minute).min(),
            tokens_per_minute: limits().filter_map(|it| it.tokens_per_minute).min(),
        }
    }

    /// Says them in the head of an answer, as OpenAI does; what is not limited is not there.
    pub fn tell(self, headers: &mut HeaderMap) {
        if let Some(requests) = self.requests_per_minute {
            headers.insert(LIMIT_REQUESTS, requests.into());
        }
        if let Some(tokens) = self.tokens_per_minute {
            headers.insert(LIMIT_TOKENS, tokens.into());
        }
    }
}

/// The tightest budget of a caller, in millionths of a US dollar; `None`: spending is not limited.
pub fn budget_micro_usd(principal: &Principal) -> Option<u64> {
    let budgets = |it: &Limits| [it.budget_micro_usd_per_day, it.budget_micro_usd_per_month];
    of(principal, None).flat_map(budgets).flatten().min()
}

#[cfg(test)]
mod tests;

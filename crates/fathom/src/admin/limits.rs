//! `fathom admin limits`

use clap::{Args, Subcommand};
use fathom_proto::id::{ModelId, TenantId};
use fathom_proto::identity::{Limit, LimitTarget, Limits};

use super::Session;
use super::arguments::OfTenant;
use super::output::Tabular;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set the limits of a target, in place of those it had; what is not named is unlimited.
    Set {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        amounts: Amounts,
    },
    /// List them.
    List(OfTenant),
    /// Lift the limits of a target.
    Remove(Target),
}

/// Whose use is counted.
#[derive(Args, Debug)]
pub struct Target {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// One of its clients or API keys; by default all together.
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// One model; by default all together.
    #[arg(long)]
    model: Option<ModelId>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub struct Amounts {
    /// Requests at a time.
    #[arg(long, value_name = "N")]
    concurrent_requests: Option<u32>,
    /// Requests begun within a minute.
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<u32>,
    /// Tokens, of prompts and answers together, within a minute.
    #[arg(long, value_name = "N")]
    tokens_per_minute: Option<u64>,
    /// Spending within a day (UTC), in millionths of a US dollar.
    #[arg(long, value_name = "N")]
    budget_micro_usd_per_day: Option<u64>,
    /// Spending within a calendar month (UTC), in millionths of a US dollar.
    #[arg(long, value_name = "N")]
    budget_micro_usd_per_month: Option<u64>,
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let Session {
            auth,
            actor,
            output,
        } = session;
        match self {
            Self::Set { target, amounts } => {
                let limit = Limit {
                    target: target.into(),
                    limits: amounts.into(),
                };
                output.one(&auth.set_limit(actor, limit).await?)
            }
            Self::List(OfTenant { tenant }) => output.list(&auth.limits(tenant).await?),
            Self::Remove(target) => {
                auth.remove_limit(actor, target.into()).await?;
                output.done("the limits are lifted")
            }
        }
    }
}

impl From<Target> for LimitTarget {
    fn from(target: Target) -> Self {
        Self {
            tenant: target.tenant,
            subject: target.subject,
            model: target.model,
        }
    }
}

impl From<Amounts> for Limits {
    fn from(amounts: Amounts) -> Self {
        Self {
            concurrent_requests: amounts.concurrent_requests,
            requests_per_minute: amounts.requests_per_minute,
            tokens_per_minute: amounts.tokens_per_minute,
            budget_micro_usd_per_day: amounts.budget_micro_usd_per_day,
            budget_micro_usd_per_month: amounts.budget_micro_usd_per_month,
        }
    }
}

impl Tabular for Limit {
    const HEADINGS: &[&str] = &[
        "tenant",
        "subject",
        "model",
        "at a time",
        "requests/min",
        "tokens/min",
        "micro-usd/day",
        "micro-usd/month",
    ];

    fn cells(&self) -> Vec<String> {
        let Self { target, limits } = self;
        let model = target.model.as_ref().map(ToString::to_string);
        vec![
            target.tenant.to_string(),
            target.subject.clone().unwrap_or_else(|| "all".to_owned()),
            model.unwrap_or_else(|| "all".to_owned()),
            amount(limits.concurrent_requests),
            amount(limits.requests_per_minute),
            amount(limits.tokens_per_minute),
            amount(limits.budget_micro_usd_per_day),
            amount(limits.budget_micro_usd_per_month),
        ]
    }
}

fn amount(amount: Option<impl ToString>) -> String {
    amount.map_or_else(|| "-".to_owned(), |amount| amount.to_string())
}

//! `fathom drill`: starts a Fathom of processes, breaks a part of it while clients are served, and
//! says what they noticed. Tests break the same Fathom in other ways.
//!
//! - `zone_loss` ([`ZoneLoss`]): one of three zones is killed
//! - `report`: what is printed
//! - [`Fleet`] (`fleet`): the roles, each in a process of its own
//!   - [`Node`] (`node`): one of them
//!   - [`Metrics`] (`metrics`): what it measures
//!   - `ports`: where they listen
//! - [`Ledger`] (`ledger`): what was asked and what came
//!   - [`Question`] (`question`): a request whose answer is known in advance

mod fleet;
mod ledger;
mod metrics;
mod node;
mod ports;
mod question;
mod report;
mod zone_loss;

use clap::Subcommand;

pub use fleet::{Fleet, Plan};
pub use ledger::{Ledger, Line, Outcome, Totals};
pub use metrics::Metrics;
pub use node::Node;
pub use question::Question;
pub use report::Report;
pub use zone_loss::ZoneLoss;

/// `fathom drill …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Kill one of three zones under load; fails if a client noticed more than a delay.
    ZoneLoss(ZoneLoss),
}

/// Runs a drill and prints its report.
///
/// # Errors
/// Whatever keeps the drill from running, and a promise that was not kept.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::ZoneLoss(drill) => {
            let report = drill.run(&std::env::current_exe()?).await?;
            report.print(drill.json)?;
            report.verdict()
        }
    }
}

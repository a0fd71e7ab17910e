//! One of three zones is killed while streams run everywhere.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use crate::drill::fleet::{Fleet, Plan};
use crate::drill::ledger::{Ledger, Line};
use crate::drill::question::Question;
use crate::drill::report::Report;

const ZONE: &str = "b";
/// At this pace 200 streams leave two cores time for other things.
const INTER_TOKEN: Duration = Duration::from_millis(100);
/// Lengths of answers: streams end and begin all the time.
const TOKENS: (u32, u32) = (30, 90);
/// How long first-token times are watched before the zone is killed, and after it.
const WATCHED: Duration = Duration::from_secs(4);
/// How long streams may take to be under way, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long what is counted while streams run may take to be 0 after the last one.
const SETTLED: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// Kills a zone.
#[derive(Args, Clone, Copy, Debug)]
pub struct ZoneLoss {
    /// Streams that run at a time.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub streams: u32,
    /// Chooses what is asked.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub seed: u32,
    /// Print JSON: an object.
    #[arg(long)]
    pub json: bool,
}

/// What happened, and when.
struct Event {
    killed: Instant,
    /// Streams that ran in the zone.
    struck: usize,
}

impl ZoneLoss {
    /// Starts a Fathom of processes of `binary` and kills one of its zones.
    ///
    /// # Errors
    /// Whatever keeps the drill from running; a promise that is not kept is in the report.
    pub async fn run(&self, binary: &Path) -> anyhow::Result<Report> {
        let mut plan = Plan::default();
        plan.sim.inter_token = INTER_TOKEN;
        let mut fleet = Fleet::start(binary, &plan).await?;
        let ledger = Ledger::default();
        let over = AtomicBool::new(false);
        let clients: Vec<_> = (0..fleet.gateways.len())
            .map(|gateway| fleet.client(gateway))
            .collect();
        let lanes = (0..self.streams).map(async |lane| {
            let client = &clients[lane as usize % clients.len()];
            for turn in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                ledger.stream(client, self.question(lane, turn)).await;
            }
        });
        let strike = async {
            let event = self.strike(&mut fleet, &ledger).await;
            over.store(true, Ordering::Relaxed);
            event
        };
        let (event, _) = tokio::join!(strike, join_all(lanes));
        let Event { killed, struck } = event?;
        let settled = fleet.settled(SETTLED).await;
        let report = Report::new(self.seed, &ledger, killed, WATCHED, struck, settled.err());
        Ok(match report.verdict() {
            Ok(()) => report,
            Err(_) => report.with_logs(fleet.keep_folder()),
        })
    }

    async fn strike(&self, fleet: &mut Fleet, ledger: &Ledger) -> anyhow::Result<Event> {
        until("every stream has a token", || {
            ledger.running() >= self.streams as usize
        })
        .await?;
        sleep(WATCHED).await;
        let running = Fleet::sum(fleet.zone(ZONE), "fathom_worker_running", &[]).await;
        let killed = Instant::now();
        fleet.kill_zone(ZONE)?;
        sleep(WATCHED).await;
        until("every stream from before has ended", || {
            let lines = ledger.snapshot();
            let mut before = lines.iter().filter(|line| line.begun < killed);
            before.all(|line| line.outcome.is_some())
        })
        .await?;
        Ok(Event {
            killed,
            struck: running as usize,
        })
    }

    fn question(&self, lane: u32, turn: u32) -> Question {
        let (least, most) = TOKENS;
        let spread = (lane.wrapping_mul(31) ^ turn.wrapping_mul(17) ^ self.seed) % (most - least);
        Question {
            id: lane * 1_000 + turn,
            seed: self.seed,
            tokens: least + spread,
        }
    }
}

impl Line {
    /// From the request to the first token.
    pub(super) fn first_token(&self) -> Option<Duration> {
        let first = self.pieces.first()?;
        Some(*first - self.begun)
    }

    /// How long after `moment`, at which it ran, it went on.
    pub(super) fn pause_after(&self, moment: Instant) -> Option<Duration> {
        let mut later = self.pieces.iter().filter(|piece| **piece > moment);
        (self.begun <= moment).then(|| later.next().map(|piece| *piece - moment))?
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > PATIENCE {
            bail!("not within {PATIENCE:?}: {what}");
        }
        sleep(LOOK).await;
    }
    Ok(())
}

//! A Fathom of processes for one test: its requests, and what they must have left behind.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::Duration;

use fathom::Config;
use fathom::drill::{Fleet, Ledger, Node, Plan, Question, Totals};
use fathom_client::Client;
use fathom_worker::EngineConfig;
use fathom_worker::SimConfig;
use futures::future::join_all;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep, sleep_until};

/// One fleet at a time: two would only slow one another down.
static TURN: Mutex<()> = Mutex::const_new(());

/// How long what is counted while something goes on may take to be 0 afterwards.
const SETTLED: Duration = Duration::from_secs(5);

/// How long what must come true may take, where no promise says how long.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Tokens of every question's prompt: four words, and three for the turn.
pub const PROMPT_TOKENS: f64 = 7.0;

/// The processes of one test.
pub struct Processes {
    fleet: Fleet,
    /// What this test asked.
    pub ledger: Ledger,
    _turn: MutexGuard<'static, ()>,
}

impl Processes {
    /// Starts what `plan` says.
    pub async fn start(plan: &Plan) -> Self {
        let turn = TURN.lock().await;
        let binary = Path::new(env!("CARGO_BIN_EXE_fathom-under-test"));
        let begun = Instant::now();
        let fleet = Fleet::start(binary, plan).await.unwrap();
        println!("ready after {:?}", begun.elapsed());
        Self {
            fleet,
            ledger: Ledger::default(),
            _turn: turn,
        }
    }

    /// Adds up the ledger, which must hold no contradiction, and waits until no process counts
    /// anything as going on.
    pub async fn audit(&self) -> Totals {
        let totals = self.ledger.audit().unwrap_or_else(|wrong| {
            panic!("the ledger is wrong: {wrong:#?}");
        });
        println!("{totals:?}");
        if let Err(busy) = self.fleet.settled(SETTLED).await {
            panic!("{busy}");
        }
        totals
    }

    /// As [`Self::audit`], where every request must have been answered in full, and counted once.
    pub async fn assert_nothing_lost(&self) {
        let totals = self.audit().await;
        assert_eq!(totals.complete, totals.asked, "{totals:?}");
        assert_eq!(totals.received_tokens, totals.counted_tokens);
    }

    /// Tokens that the gateways say they delivered.
    pub async fn delivered_tokens(&self) -> u64 {
        let kind = [("kind", "completion")];
        Fleet::sum(&self.gateways, "fathom_gateway_tokens_total", &kind).await as u64
    }

    /// How often a worker was asked, attempts that failed at once included.
    pub async fn attempts_at<'a>(&self, workers: impl IntoIterator<Item = &'a Node>) -> f64 {
        let kind = [("kind", "prompt")];
        Fleet::sum(workers, "fathom_worker_tokens_total", &kind).await / PROMPT_TOKENS
    }

    /// How often routers asked a worker.
    pub async fn attempts(&self) -> f64 {
        Fleet::sum(&self.routers, "fathom_router_dispatches_total", &[]).await
    }

    /// Generations that run on `workers`.
    pub async fn running_at<'a>(&self, workers: impl IntoIterator<Item = &'a Node>) -> f64 {
        Fleet::sum(workers, "fathom_worker_running", &[]).await
    }
}

impl Deref for Processes {
    type Target = Fleet;

    fn deref(&self) -> &Fleet {
        &self.fleet
    }
}

impl DerefMut for Processes {
    fn deref_mut(&mut self) -> &mut Fleet {
        &mut self.fleet
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let folder = self.fleet.keep_folder();
            eprintln!("logs and configurations are in {}", folder.display());
        }
    }
}

/// A plan for these zones, one worker for each letter, with one gateway and one router.
pub fn plan(zones: &str, adjust: impl FnOnce(&mut SimConfig)) -> Plan {
    const ZONES: [&str; 3] = ["a", "b", "c"];
    let find = |zone: char| *ZONES.iter().find(|name| name.starts_with(zone)).unwrap();
    let mut plan = Plan {
        edges: 1,
        zones: zones.chars().map(find).collect(),
        ..Plan::default()
    };
    adjust(&mut plan.sim);
    plan
}

/// Changes the simulated engine of a worker's configuration.
pub fn sim(config: &mut Config, adjust: impl FnOnce(&mut SimConfig)) {
    match &mut config.worker.engines[..] {
        [EngineConfig::Sim(sim)] => adjust(sim),
        other => panic!("{other:?}"),
    }
}

/// Questions that are the same in every run.
pub struct Questions {
    seed: u32,
    asked: u32,
    state: u64,
}

impl Questions {
    /// Says which they are.
    pub fn seeded(seed: u32) -> Self {
        println!("seed {seed}");
        Self {
            seed,
            asked: 0,
            state: seed.into(),
        }
    }

    /// The next one.
    pub fn next(&mut self, tokens: u32) -> Question {
        self.asked += 1;
        Question {
            id: self.asked,
            seed: self.seed,
            tokens,
        }
    }

    /// So many.
    pub fn take(&mut self, count: u32, tokens: u32) -> Vec<Question> {
        (0..count).map(|_| self.next(tokens)).collect()
    }

    /// A number below `limit`, by `SplitMix64`.
    pub fn below(&mut self, limit: u32) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((bits ^ (bits >> 31)) % u64::from(limit)).unwrap()
    }
}

/// Asks all at once, as streams, through every gateway in turn.
pub async fn stream_all(fleet: &Fleet, ledger: &Ledger, questions: &[Question]) {
    let clients = clients(fleet);
    let all = questions.iter().zip(clients.iter().cycle());
    join_all(all.map(|(question, client)| ledger.stream(client, *question))).await;
}

/// A client for each gateway.
pub fn clients(fleet: &Fleet) -> Vec<Client> {
    let gateways = 0..fleet.gateways.len();
    gateways.map(|gateway| fleet.client(gateway)).collect()
}

/// Does something `per_second` times a second, whatever becomes of what was begun before.
pub async fn at_rate<T>(
    per_second: u32,
    things: impl IntoIterator<Item = T>,
    act: impl AsyncFn(T),
) {
    let begun = Instant::now();
    let pace = Duration::from_secs(1) / per_second;
    let timed = things.into_iter().zip(0_u32..).map(async |(thing, turn)| {
        sleep_until(begun + pace * turn).await;
        act(thing).await;
    });
    join_all(timed).await;
}

/// Looks again and again until `probe` gives something.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Sends a signal, by its name.
pub fn signal(node: &Node, name: &str) {
    let pid = node.pid().unwrap().to_string();
    let mut kill = std::process::Command::new("kill");
    let sent = kill.args([format!("-{name}"), pid]).status().unwrap();
    assert!(sent.success(), "no {name} to {}", node.name);
}

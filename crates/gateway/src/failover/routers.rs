//! The routers that one name stands for, and which of them answer. The balancer that tonic offers
//! takes whoever has least to do, which is whoever is dead: its connections are made when they are
//! used.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fathom_kit::net::Endpoint;
use fathom_proto::catalog::Catalog;
use fathom_proto::feedback::Feedback;
use fathom_proto::inference::Inference;
use fathom_proto::models::Models;
use fathom_proto::{Error, ErrorCode};
use futures::future::join_all;
use tokio::time::{sleep, timeout};

/// How often the name is looked up: a router that comes or goes is noticed after so long at most.
pub(super) const LOOK_UP: Duration = Duration::from_secs(5);

/// How often routers that are out are asked whether they are back, and how long they have to say.
pub(super) const ASK: Duration = Duration::from_millis(500);
const ANSWER: Duration = Duration::from_secs(2);

/// How routers are found and called.
#[tonic::async_trait]
pub trait Discovery: Send + Sync {
    /// Every router that `name` stands for now.
    async fn resolve(&self, name: &Endpoint) -> io::Result<BTreeSet<Endpoint>>;

    /// The router at an address. An error says why that is none.
    fn connect(&self, address: &Endpoint) -> Result<Router, String>;
}

/// The ports of one router.
pub struct Router {
    /// Generates.
    pub inference: Arc<dyn Inference>,
    /// Knows the models.
    pub catalog: Arc<dyn Catalog>,
    /// Takes what callers think of their answers.
    pub feedback: Arc<dyn Feedback>,
    /// Changes the models.
    pub models: Arc<dyn Models>,
}

/// A router, and whether it is there.
pub(super) struct Member {
    address: Endpoint,
    pub ports: Router,
    /// A call did not reach it, or was lost with it, and it has answered none since.
    out: AtomicBool,
}

impl Member {
    fn is_out(&self) -> bool {
        self.out.load(Ordering::Relaxed)
    }

    /// A call of it ended with `error`.
    pub fn failed(&self, error: &Error) {
        if is_gone(error) && !self.out.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                router.endpoint = %self.address,
                "a router is lost; others are asked until it answers"
            );
        }
    }

    async fn ask(&self) {
        let answers = match timeout(ANSWER, self.ports.catalog.list_models()).await {
            Ok(Err(error)) => !is_gone(&error),
            Ok(Ok(_)) => true,
            Err(_) => false,
        };
        if answers {
            self.out.store(false, Ordering::Relaxed);
            tracing::info!(router.endpoint = %self.address, "a router answers again");
        }
    }
}

/// Whether it is the router that is lost, and not the caller's time that is over.
fn is_gone(error: &Error) -> bool {
    error.is_unreachable() || (error.is_lost() && error.code != ErrorCode::DeadlineExceeded)
}

/// Every router that a name stands for, never none: until the name was looked up, whatever it
/// leads to.
pub(super) struct Routers {
    name: Endpoint,
    discovery: Arc<dyn Discovery>,
    members: RwLock<Arc<[Arc<Member>]>>,
    turn: AtomicUsize,
}

impl Routers {
    pub fn new(name: Endpoint, discovery: Arc<dyn Discovery>) -> Result<Self, String> {
        let first = member(&name, discovery.as_ref())?;
        Ok(Self {
            name,
            discovery,
            members: RwLock::new([first].into()),
            turn: AtomicUsize::new(0),
        })
    }

    /// The next one in turn of those that answer; of all, if none does.
    pub fn next(&self) -> Arc<Member> {
        let members = self.members();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let answering = || members.iter().filter(|member| !member.is_out());
        let next = turn.checked_rem(answering().count());
        let next = next.and_then(|place| answering().nth(place));
        next.unwrap_or_else(|| &members[turn % members.len()])
            .clone()
    }

    /// Looks the name up again and again, and asks those that are out whether they are back.
    pub async fn keep_current(&self) {
        let look_up = async {
            let mut fails = false;
            while self.name.name().is_some() {
                let found = self.discovery.resolve(&self.name).await;
                if let Err(error) = &found
                    && !fails
                {
                    tracing::warn!(
                        router.endpoint = %self.name,
                        %error,
                        "cannot look the router up; trying again"
                    );
                }
                fails = found.is_err();
                if let Ok(addresses) = found {
                    self.set(&addresses);
                }
                sleep(LOOK_UP).await;
            }
        };
        let ask = async {
            loop {
                sleep(ASK).await;
                let members = self.members();
                let out = members.iter().filter(|member| member.is_out());
                join_all(out.map(|member| member.ask())).await;
            }
        };
        tokio::join!(look_up, ask);
    }

    /// Those that stay keep their connections; calls of those that go, go on.
    fn set(&self, addresses: &BTreeSet<Endpoint>) {
        let before = self.members();
        let members = addresses.iter().filter_map(|address| {
            let known = before.iter().find(|member| member.address == *address);
            match known {
                Some(known) => Some(known.clone()),
                None => member(address, self.discovery.as_ref())
                    .inspect_err(|problem| {
                        tracing::error!(router.endpoint = %address, problem, "this is no router");
                    })
                    .ok(),
            }
        });
        let members: Arc<[_]> = members.collect();
        if !members.is_empty() {
            *self.members.write().unwrap_or_else(PoisonError::into_inner) = members;
        }
    }

    fn members(&self) -> Arc<[Arc<Member>]> {
        let members = self.members.read();
        members.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn member(address: &Endpoint, discovery: &dyn Discovery) -> Result<Arc<Member>, String> {
    Ok(Arc::new(Member {
        address: address.clone(),
        ports: discovery.connect(address)?,
        out: AtomicBool::new(false),
    }))
}

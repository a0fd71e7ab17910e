//! A link between two processes that can go wrong: a TCP proxy that passes bytes on, late, or not
//! at all.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fathom_kit::net::{Endpoint, ListenAddress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What a link does, with connections that are open as with new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Passes everything on.
    Pass,
    /// Passes everything on so much later, each way.
    Delay(Duration),
    /// Swallows everything, the ends of connections too, and closes nothing: a black hole.
    Stall,
    /// The same from the target to its callers alone.
    StallAnswers,
    /// Resets every connection.
    Reset,
    /// Resets each connection once so many bytes have come from the target over it.
    ResetAfter(usize),
}

/// A link to one of several targets: a connection goes to the next one that takes it, as behind
/// a balancer of connections.
pub struct Chaos {
    address: SocketAddr,
    targets: Arc<Mutex<Vec<SocketAddr>>>,
    link: watch::Sender<Link>,
    /// Ends with this.
    _tasks: JoinSet<()>,
}

impl Chaos {
    /// A link that passes everything on, to nobody yet.
    ///
    /// # Errors
    /// The system has no port.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let targets = Arc::new(Mutex::new(Vec::new()));
        let (link, state) = watch::channel(Link::Pass);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, targets.clone(), state));
        Ok(Self {
            address,
            targets,
            link,
            _tasks: tasks,
        })
    }

    /// Adds a target.
    pub fn lead_to(&self, target: &ListenAddress) {
        if let ListenAddress::Tcp(address) = target {
            self.targets().push(*address);
        }
    }

    /// Takes a target out, by its URL; connections to it stay.
    pub fn lead_away_from(&self, url: &str) {
        self.targets()
            .retain(|address| format!("http://{address}") != url);
    }

    fn targets(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to call.
    ///
    /// # Panics
    /// Never: an address with a scheme is an endpoint.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the text is made here")]
    pub fn endpoint(&self) -> Endpoint {
        let url = format!("http://{}", self.address);
        url.parse().expect("an address with a scheme")
    }

    /// Changes what the link does, from now on.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }
}

async fn accept(
    listener: TcpListener,
    targets: Arc<Mutex<Vec<SocketAddr>>>,
    link: watch::Receiver<Link>,
) {
    let mut connections = JoinSet::new();
    let turn = AtomicUsize::new(0);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((caller, _)) = accepted else { return };
                let mut targets = targets.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let first = turn.fetch_add(1, Ordering::Relaxed) % targets.len().max(1);
                targets.rotate_left(first);
                connections.spawn(connect(caller, targets, link.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(mut caller: TcpStream, targets: Vec<SocketAddr>, mut link: watch::Receiver<Link>) {
    // Nobody is behind a black hole, and no connection is refused by it.
    let _ = link.wait_for(|link| *link != Link::Stall).await;
    let mut target = None;
    for address in targets {
        if let Ok(stream) = TcpStream::connect(address).await {
            target = Some(stream);
            break;
        }
    }
    let Some(mut target) = target else {
        let _ = caller.set_zero_linger();
        return;
    };
    let _ = (caller.set_nodelay(true), target.set_nodelay(true));
    let ended = {
        let ((asks, answers), (answered, asked)) = (caller.split(), target.split());
        let there = pump(asks, asked, false, link.clone());
        let back = pump(answered, answers, true, link.clone());
        tokio::try_join!(there, back)
    };
    if ended.is_err() {
        // What fails on one side is a reset on the other.
        let _ = (caller.set_zero_linger(), target.set_zero_linger());
    }
}

/// Passes on what comes from one side, as the link has it, until that side ends.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    is_answer: bool,
    mut link: watch::Receiver<Link>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut passed = 0;
    loop {
        let count = tokio::select! {
            count = from.read(&mut buffer) => count?,
            _ = link.wait_for(|link| *link == Link::Reset) => return Err(reset()),
        };
        let held = |link: &Link| match link {
            Link::Stall => true,
            Link::StallAnswers => is_answer,
            _ => false,
        };
        let state = link.wait_for(|link| !held(link)).await.map(|state| *state);
        passed += count;
        match state {
            Ok(Link::Delay(delay)) => sleep(delay).await,
            Ok(Link::ResetAfter(bytes)) if is_answer && passed >= bytes => return Err(reset()),
            Ok(Link::Reset) | Err(_) => return Err(reset()),
            Ok(_) => {}
        }
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

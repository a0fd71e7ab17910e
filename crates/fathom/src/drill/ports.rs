//! Free ports of this machine for processes that are yet to be started.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use fathom_kit::net::ListenAddress;

/// Below the ports that systems give to outgoing connections, one of which could otherwise take
/// a port between the moment that it is found free and the start of the process it is meant for.
const FIRST: u16 = 15_000;
const COUNT: u16 = 15_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on. The same process never gets one twice, and two processes begin
/// to look at different places.
pub fn free() -> io::Result<ListenAddress> {
    let start = (std::process::id() % u32::from(COUNT)) * 37;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = (start + u32::from(step)) % u32::from(COUNT);
        let port = u16::try_from(offset).map_or(FIRST, |offset| FIRST + offset);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(ListenAddress::local(port));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        format!("no port is free from {FIRST} to {}", FIRST + COUNT),
    ))
}

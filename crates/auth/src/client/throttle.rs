//! Slowing down those who guess.
//!
//! Failures are counted for a client at an address, and for an address with all clients. A delay
//! that grows keeps that address away; it never keeps a client away from another address, so nobody
//! can lock an owner out from elsewhere.

use std::future::ready;
use std::net::IpAddr;
use std::time::Duration;

use moka::Entry;
use moka::future::Cache;
use tokio::time::Instant;

use crate::Error;

/// Failures of one client at one address that cost nothing yet.
const FREE_OF_CLIENT: u32 = 10;

/// Failures at one address, with whatever clients, that cost nothing yet: several clients may
/// share one.
const FREE_OF_ADDRESS: u32 = 100;

/// The first delay; each further failure doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(60);

/// Failures are forgotten this long after the last of them.
const MEMORY: Duration = Duration::from_secs(15 * 60);

/// Entries of each map.
const MAX_ENTRIES: u64 = 20_000;

/// Counts failures.
pub(crate) struct Throttle {
    clients: Cache<(String, IpAddr), Failures>,
    addresses: Cache<IpAddr, Failures>,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self {
            clients: Cache::builder()
                .max_capacity(MAX_ENTRIES)
                .time_to_idle(MEMORY)
                .build(),
            addresses: Cache::builder()
                .max_capacity(MAX_ENTRIES)
                .time_to_idle(MEMORY)
                .build(),
        }
    }

    /// The attempts to be `client` from `address`. Without an address there is nobody to slow
    /// down but everybody, so nothing is counted.
    pub(crate) fn attempts(&self, client: &str, address: Option<IpAddr>) -> Attempts<'_> {
        Attempts {
            throttle: self,
            key: address.map(|address| (client.to_owned(), network(address))),
        }
    }
}

/// Attempts to be one client from one address.
pub(crate) struct Attempts<'a> {
    throttle: &'a Throttle,
    key: Option<(String, IpAddr)>,
}

impl Attempts<'_> {
    /// Whether one more may be made now.
    ///
    /// # Errors
    /// [`Error::Throttled`] with the time to wait.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        let Some(key) = &self.key else { return Ok(()) };
        let of_client = self.throttle.clients.get(key).await;
        let of_address = self.throttle.addresses.get(&key.1).await;
        let wait = of_client
            .and_then(|failures| failures.wait(FREE_OF_CLIENT))
            .max(of_address.and_then(|failures| failures.wait(FREE_OF_ADDRESS)));
        match wait {
            Some(retry_after) => Err(Error::Throttled { retry_after }),
            None => Ok(()),
        }
    }

    /// Counts a failure.
    pub(crate) async fn count(&self) {
        let Some(key) = &self.key else { return };
        let clients = self.throttle.clients.entry_by_ref(key);
        clients
            .and_upsert_with(|entry| ready(Failures::one_more(entry.map(Entry::into_value))))
            .await;
        let addresses = self.throttle.addresses.entry_by_ref(&key.1);
        addresses
            .and_upsert_with(|entry| ready(Failures::one_more(entry.map(Entry::into_value))))
            .await;
    }

    /// Takes the last failure back, and forgives the client its former ones: it has proven itself.
    /// The address keeps the others, so that one good client does not cover for guesses.
    pub(crate) async fn forgive(&self) {
        let Some(key) = &self.key else { return };
        self.throttle.clients.invalidate(key).await;
        let addresses = self.throttle.addresses.entry_by_ref(&key.1);
        addresses
            .and_upsert_with(|entry| ready(Failures::one_less(entry.map(Entry::into_value))))
            .await;
    }
}

/// Failures in a row.
#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    /// How long to wait, if `free` of them cost nothing.
    fn wait(self, free: u32) -> Option<Duration> {
        let costly = self.count.checked_sub(free + 1)?;
        let delay = FIRST_DELAY
            .saturating_mul(1 << costly.min(16))
            .min(MAX_DELAY);
        let wait = delay.checked_sub(self.last.elapsed())?;
        (!wait.is_zero()).then_some(wait)
    }

    fn one_more(former: Option<Self>) -> Self {
        let former = former.filter(|former| former.last.elapsed() < MEMORY);
        Self {
            count: former.map_or(0, |former| former.count).saturating_add(1),
            last: Instant::now(),
        }
    }

    fn one_less(former: Option<Self>) -> Self {
        Self {
            count: former.map_or(0, |former| former.count.saturating_sub(1)),
            last: former.map_or_else(Instant::now, |former| former.last),
        }
    }
}

/// Whom an address belongs to: of IPv6 whoever has one address has its /64 (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() & (u128::MAX << 64);
            IpAddr::V6(bits.into())
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests;

//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Edge;
use super::peer::TrustedProxies;

/// The connections of a port.
pub struct Connections {
    room: Arc<Semaphore>,
    by_address: ByAddress,
    most_of_one: usize,
    trusted: TrustedProxies,
}

/// One entry an address that has a connection, so no more than there are connections.
type ByAddress = Arc<Mutex<HashMap<IpAddr, usize>>>;

impl Connections {
    /// None yet.
    pub fn new(edge: &Edge) -> Self {
        Self {
            room: Arc::new(Semaphore::new(edge.limits.max_connections)),
            by_address: ByAddress::default(),
            most_of_one: edge.limits.max_connections_per_address,
            trusted: edge.trusted_proxies.clone(),
        }
    }

    /// Waits until there may be one more.
    pub async fn room(&self) -> io::Result<OwnedSemaphorePermit> {
        let room = self.room.clone().acquire_owned().await;
        room.map_err(io::Error::other)
    }

    /// The place of a connection from `address`, or the room back when that has its share. Trusted
    /// proxies have no share: behind them are many.
    pub fn admit(
        &self,
        room: OwnedSemaphorePermit,
        address: Option<IpAddr>,
    ) -> Result<Place, OwnedSemaphorePermit> {
        let counted = address.filter(|address| !self.trusted.contain(*address));
        let share = match counted.map(network) {
            None => None,
            Some(address) => {
                let mut counts = lock(&self.by_address);
                let count = counts.entry(address).or_default();
                if *count >= self.most_of_one {
                    return Err(room);
                }
                *count += 1;
                Some(Share {
                    address,
                    counts: self.by_address.clone(),
                })
            }
        };
        Ok(Place {
            address,
            _room: room,
            _share: share,
        })
    }
}

/// A connection's place, free again when it is dropped.
pub struct Place {
    /// Who has it; `None` on a Unix socket.
    pub address: Option<IpAddr>,
    _room: OwnedSemaphorePermit,
    _share: Option<Share>,
}

/// One of the connections of an address.
struct Share {
    address: IpAddr,
    counts: ByAddress,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

fn lock(counts: &ByAddress) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    // Every change is one step, so a panic elsewhere leaves nothing half done.
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What counts as one address: a customer of IPv6 has a /64 at least.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    fn connections(most_of_one: usize) -> Connections {
        let limits = Limits {
            max_connections_per_address: most_of_one,
            ..Limits::default()
        };
        Connections::new(&Edge {
            limits,
            trusted_proxies: "10.0.0.0/8".parse::<TrustedProxies>().unwrap(),
            ..Edge::default()
        })
    }

    /// Part of EDGE-7
    #[tokio::test]
    async fn an_address_has_its_share_and_no_more() {
        let connections = connections(2);
        let admit = async |address: &str| {
            let room = connections.room().await.unwrap();
            connections.admit(room, address.parse().ok())
        };
        let first = admit("192.0.2.1").await.ok().unwrap();
        let _second = admit("192.0.2.1").await.ok().unwrap();
        assert!(admit("192.0.2.1").await.is_err());
        let _other = admit("192.0.2.2").await.ok().unwrap();
        drop(first);
        let _again = admit("192.0.2.1").await.ok().unwrap();

        let _v6 = admit("2001:db8::1").await.ok().unwrap();
        let _same = admit("2001:db8::ffff:1").await.ok().unwrap();
        assert!(admit("2001:db8::2").await.is_err(), "the same /64");
        let _neighbour = admit("2001:db8:0:1::2").await.ok().unwrap();
    }

    #[tokio::test]
    async fn a_trusted_proxy_is_not_counted_and_nothing_is_remembered() {
        let connections = connections(1);
        let mut places = Vec::new();
        for _ in 0..5 {
            let room = connections.room().await.unwrap();
            let proxy = "10.1.2.3".parse().ok();
            places.push(connections.admit(room, proxy).ok().unwrap());
        }
        let room = connections.room().await.unwrap();
        let counted = connections.admit(room, "192.0.2.1".parse().ok());
        drop((places, counted));
        assert!(lock(&connections.by_address).is_empty());
    }
}

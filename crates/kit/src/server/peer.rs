//! Who is at the other end. Behind a proxy that is trusted, its word counts; nobody else's does.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who is at the other end; an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where the request comes from; `None`: a Unix socket.
    pub address: Option<IpAddr>,
    /// Whether it came in TLS, to us or to a trusted proxy.
    pub secure: bool,
}

impl Peer {
    /// Who sent a request with these `headers` over a connection of `self`. What proxies say of
    /// their callers is taken out: from here on this is the one answer.
    pub(super) fn of_request(self, headers: &mut HeaderMap, trusted: &TrustedProxies) -> Self {
        let is_proxy = self.address.is_some_and(|it| trusted.contain(it));
        let peer = if is_proxy {
            Self {
                address: self.address.map(|proxy| caller(proxy, headers, trusted)),
                secure: proto(headers).map_or(self.secure, |https| https),
            }
        } else {
            self
        };
        headers.remove(X_FORWARDED_FOR);
        headers.remove(X_FORWARDED_PROTO);
        peer
    }
}

/// The rightmost address that is no trusted proxy: each proxy adds its own caller on the right,
/// and what stands left of the first stranger is the stranger's to invent.
fn caller(proxy: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    let mut nearest = proxy;
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    for hop in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
        let Some(address) = std::str::from_utf8(hop).ok().and_then(address) else {
            return nearest;
        };
        nearest = address;
        if !trusted.contain(address) {
            return nearest;
        }
    }
    nearest
}

/// An address as proxies write it: alone, in brackets, or with a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let parsed = bare.parse().ok();
    parsed
        .or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
        .map(|address| address.to_canonical())
}

/// Whether the caller spoke TLS to the nearest proxy; `None`: it does not say.
fn proto(headers: &HeaderMap) -> Option<bool> {
    let line = headers.get_all(X_FORWARDED_PROTO).iter().next_back()?;
    let nearest = line.to_str().ok()?.rsplit(',').next()?;
    Some(nearest.trim().eq_ignore_ascii_case("https"))
}

/// Whose word counts on where a request comes from: networks, or single addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Whether the address is one of them.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl TryFrom<Vec<String>> for TrustedProxies {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let networks = texts.iter().map(|text| {
            let network = text.parse::<IpNet>();
            let address = || text.parse::<IpAddr>().map(IpNet::from);
            network.or_else(|_| address()).map_err(|_| {
                format!("`{text}` is no network; write 10.0.0.0/8, 2001:db8::/32, or an address")
            })
        });
        Ok(Self(networks.collect::<Result<_, String>>()?))
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    /// One network.
    fn from_str(text: &str) -> Result<Self, String> {
        vec![text.to_owned()].try_into()
    }
}

impl From<TrustedProxies> for Vec<String> {
    fn from(proxies: TrustedProxies) -> Self {
        proxies.0.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(peer: &str, lines: &[&str]) -> String {
        let trusted = vec!["10.0.0.0/8".to_owned(), "2001:db8::1".to_owned()];
        let trusted = TrustedProxies::try_from(trusted).unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, line.parse().unwrap());
        }
        let peer = Peer {
            address: Some(peer.parse().unwrap()),
            secure: false,
        };
        let resolved = peer.of_request(&mut headers, &trusted).address.unwrap();
        assert!(headers.is_empty());
        resolved.to_string()
    }

    /// SEC-23: forwarded headers count from trusted networks alone.
    #[test]
    fn a_stranger_cannot_say_where_it_is() {
        for lines in [&["198.51.100.1"][..], &["10.0.0.1"], &["127.0.0.1, ::1"]] {
            assert_eq!(resolved("192.0.2.7", lines), "192.0.2.7");
        }
    }

    /// SEC-23: neither can one behind a proxy.
    #[test]
    fn behind_proxies_the_rightmost_stranger_is_the_caller() {
        for (lines, expected) in [
            (&[][..], "10.0.0.9"),
            (&["198.51.100.1"], "198.51.100.1"),
            (&["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
            (&["127.0.0.1", "198.51.100.1, 10.1.1.1"], "198.51.100.1"),
            (&["198.51.100.1:4711"], "198.51.100.1"),
            (&["[2001:db8::7]:4711, 2001:db8::1"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["::ffff:198.51.100.1"], "198.51.100.1"),
            // Nothing left of what is no address is believed.
            (&["198.51.100.1, unknown, 10.1.1.1"], "10.1.1.1"),
            (&["198.51.100.1,"], "10.0.0.9"),
            // All of them are proxies: the first one sent it.
            (&["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
        ] {
            assert_eq!(resolved("10.0.0.9", lines), expected, "{lines:?}");
        }
    }

    /// SEC-23
    #[test]
    fn tls_at_a_trusted_proxy_counts_and_a_claim_of_it_does_not() {
        let trusted: TrustedProxies = "10.0.0.0/8".parse().unwrap();
        for (address, said, expected) in [
            ("10.0.0.1", Some("https"), true),
            ("10.0.0.1", Some("https, http"), false),
            ("10.0.0.1", None, false),
            ("192.0.2.7", Some("https"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(said) = said {
                headers.insert(X_FORWARDED_PROTO, said.parse().unwrap());
            }
            let peer = Peer {
                address: address.parse().ok(),
                secure: false,
            };
            let resolved = peer.of_request(&mut headers, &trusted);
            assert_eq!(resolved.secure, expected, "{address} {said:?}");
        }
    }

    #[test]
    fn what_is_no_network_is_told_what_would_be_right() {
        let error = "10.0.0.0/33".parse::<TrustedProxies>().unwrap_err();
        assert_eq!(
            error,
            "`10.0.0.0/33` is no network; write 10.0.0.0/8, 2001:db8::/32, or an address"
        );
    }
}

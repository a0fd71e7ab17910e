//! Where to listen and what to call: TCP between machines, Unix sockets inside one.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UnixListener, lookup_host};
use tonic::transport::Channel;

/// Where a server listens: `HOST:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ListenAddress {
    /// A TCP port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// A port of this machine that no other machine reaches.
    #[must_use]
    pub fn local(port: u16) -> Self {
        Self::Tcp((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Opens the port.
    ///
    /// # Errors
    /// The system's error, with the address in its text.
    pub fn bind(&self) -> io::Result<Listener> {
        let bound = match self {
            Self::Tcp(address) => std::net::TcpListener::bind(address).and_then(|listener| {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Listener::Tcp)
            }),
            Self::Unix(path) => {
                // A socket that a killed process left behind would block the address for ever.
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => UnixListener::bind(path)
                        .map(|listener| Listener::Unix(listener, path.clone())),
                }
            }
        };
        bound.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {self}: {error}"))
        })
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            format!("`{text}` is no address to listen on; write IP:PORT, as in 127.0.0.1:8080, or unix:PATH")
        })
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ListenAddress> for String {
    fn from(address: ListenAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An open port.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// Unix socket, with its path.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// What a client on this machine calls to reach the listener.
    ///
    /// # Errors
    /// The system's, when the socket is gone.
    pub fn endpoint(&self) -> io::Result<Endpoint> {
        Ok(match self {
            Self::Tcp(listener) => Endpoint(format!("http://{}", listener.local_addr()?)),
            Self::Unix(_, path) => Endpoint::unix(path),
        })
    }
}

/// What to call: `http://HOST:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint(String);

impl Endpoint {
    /// A port of this machine.
    #[must_use]
    pub fn local(port: u16) -> Self {
        Self(format!("http://127.0.0.1:{port}"))
    }

    /// A Unix socket of this machine.
    #[must_use]
    pub fn unix(path: &Path) -> Self {
        Self(format!("unix:{}", path.display()))
    }

    /// The same where it speaks TLS.
    #[must_use]
    pub fn with_tls(self) -> Self {
        match self.0.strip_prefix("http://") {
            Some(rest) => Self(format!("https://{rest}")),
            None => self,
        }
    }

    /// The host and port that have to be looked up; `None` for an address or a socket.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let uri: Uri = self.0.parse().ok()?;
        let host = uri.host()?;
        let address = host.trim_start_matches('[').trim_end_matches(']');
        if uri.scheme_str() != Some("http") || address.parse::<IpAddr>().is_ok() {
            return None;
        }
        Some(format!("{host}:{}", uri.port_u16().unwrap_or(80)))
    }

    /// Every address that the host name stands for now; itself where there is no name.
    ///
    /// # Errors
    /// The system's, when the name cannot be looked up or stands for nothing.
    pub async fn resolve(&self) -> io::Result<BTreeSet<Self>> {
        let Some(name) = self.name() else {
            return Ok(BTreeSet::from([self.clone()]));
        };
        let addresses = lookup_host(&name).await?;
        let endpoints: BTreeSet<_> = addresses
            .map(|address| Self(format!("http://{address}")))
            .collect();
        if endpoints.is_empty() {
            let problem = format!("{name} stands for no address");
            return Err(io::Error::new(io::ErrorKind::NotFound, problem));
        }
        Ok(endpoints)
    }

    /// A gRPC channel that connects when it is first used, and again whenever it must.
    ///
    /// # Errors
    /// A text, when the address cannot be a URI.
    pub fn channel(&self) -> Result<Channel, String> {
        let endpoint = tonic::transport::Endpoint::from_shared(self.0.clone())
            .map_err(|error| format!("`{}` is no endpoint: {error}", self.0))?;
        Ok(endpoint
            .connect_timeout(Duration::from_secs(5))
            .tcp_nodelay(true)
            // A peer that hangs without closing is found out by pings.
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(5))
            .connect_lazy())
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("http://") || text.starts_with("unix:") {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{text}` is no endpoint; write http://HOST:PORT or unix:PATH"
            ))
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["127.0.0.1:8080", "[::1]:0", "unix:/run/fathom.sock"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for text in ["http://127.0.0.1:8081", "unix:run/worker.sock"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_address_is_told_what_would_be_right() {
        let error = "localhost".parse::<ListenAddress>().unwrap_err();
        assert_eq!(
            error,
            "`localhost` is no address to listen on; write IP:PORT, as in 127.0.0.1:8080, or unix:PATH"
        );
        assert!("127.0.0.1:8181".parse::<Endpoint>().is_err());
    }

    #[tokio::test]
    async fn a_host_name_stands_for_its_addresses_and_anything_else_for_itself() {
        for text in [
            "http://127.0.0.1:8081",
            "http://[::1]:81",
            "unix:run/w.sock",
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.name(), None);
            assert_eq!(endpoint.resolve().await.unwrap(), [endpoint].into());
        }
        let named: Endpoint = "http://localhost:8081".parse().unwrap();
        assert_eq!(named.name().as_deref(), Some("localhost:8081"));
        let addresses = named.resolve().await.unwrap();
        assert!(
            addresses.iter().all(|address| address.name().is_none()),
            "{addresses:?}"
        );
        let nowhere: Endpoint = "http://nowhere.invalid:1".parse().unwrap();
        nowhere.resolve().await.unwrap_err();
    }

    /// What a killed process leaves behind must not keep the next one from starting.
    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let address = ListenAddress::Unix(folder.path().join("s"));
        drop(address.bind().unwrap());
        address.bind().unwrap();
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = ListenAddress::Tcp(taken.local_addr().unwrap());
        let error = address.bind().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot listen on {address}: ")),
            "{error}"
        );
    }
}

//! Web origins (RFC 6454): which pages of the web may speak to this server from a browser.

use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, header};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Scheme, host and port, in the one form in which two are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Whether a request, which came in TLS if it is `secure`, may come from where its `Origin`
    /// says: from no page, from a page of the host that the request is sent to, or from one of
    /// `allowed`. `null` and what is no origin may not. Browsers send the header and pages cannot
    /// change it; other clients leave it out.
    #[must_use]
    pub fn may_send(headers: &HeaderMap, secure: bool, allowed: &[Self]) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return true;
        };
        let origin = origin.to_str().ok().and_then(|text| text.parse().ok());
        let (Some(origin), None) = (origin, origins.next()) else {
            return false;
        };
        allowed.contains(&origin) || (origin.is_of_host(headers) && origin.fits(secure))
    }

    /// Whether a request that came in TLS, if it is `secure`, can be to this origin. One that came
    /// without may have come in TLS to a proxy that does not say so.
    fn fits(&self, secure: bool) -> bool {
        self.secure || !secure
    }

    /// Whether the request was sent to the host of this origin, whatever its scheme.
    fn is_of_host(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|it| it.to_str().ok());
        let scheme = if self.secure { "https" } else { "http" };
        host.and_then(|host| format!("{scheme}://{host}").parse().ok())
            .is_some_and(|of_host: Self| of_host == *self)
    }
}

/// Why a text is no origin.
#[derive(Debug, thiserror::Error)]
#[error("an origin is `https://HOST` or `https://HOST:PORT`, without a path; http is one too")]
pub struct NotAnOrigin;

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAnOrigin)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(NotAnOrigin),
        };
        // The colons of an IPv6 address are inside brackets.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().map_err(|_| NotAnOrigin)?
            }
            Some(_) => return Err(NotAnOrigin),
            None if secure => 443,
            None => 80,
        };
        let is_of_a_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let address = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let sound = match address {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(is_of_a_host),
        };
        if !sound {
            return Err(NotAnOrigin);
        }
        Ok(Self {
            secure,
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        match (self.secure, self.port) {
            (true, 443) | (false, 80) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_send(origin: Option<&str>, host: &str, allowed: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let allowed: Vec<Origin> = allowed.iter().map(|it| it.parse().unwrap()).collect();
        Origin::may_send(&headers, false, &allowed)
    }

    /// A page that anybody on the way may have changed is not one of a server with TLS.
    #[test]
    fn a_page_without_tls_may_not_send_to_a_server_with_it() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "llm.example.com".parse().unwrap());
        for (origin, allowed) in [("https", true), ("http", false)] {
            let origin = format!("{origin}://llm.example.com");
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            assert_eq!(Origin::may_send(&headers, true, &[]), allowed, "{origin}");
        }
    }

    /// WS-7
    #[test]
    fn pages_of_the_same_host_and_those_that_are_listed_may_send() {
        let listed = &["https://good.com", "http://localhost:3000"][..];
        for (origin, host) in [
            (None, "llm.example.com"),
            (Some("https://llm.example.com"), "llm.example.com"),
            (Some("http://llm.example.com"), "llm.example.com"),
            (Some("https://llm.example.com"), "llm.example.com:443"),
            (Some("http://[::1]:8080"), "[::1]:8080"),
            (Some("https://good.com"), "llm.example.com"),
            (Some("HTTPS://GOOD.com"), "llm.example.com"),
            (Some("https://good.com:443"), "llm.example.com"),
            (Some("http://localhost:3000"), "llm.example.com"),
        ] {
            assert!(may_send(origin, host, listed), "{origin:?} to {host}");
        }
    }

    /// WS-7
    #[test]
    fn other_pages_may_not_send() {
        let listed = &["https://good.com"][..];
        for origin in [
            "null",
            "",
            "*",
            "https://evil.com",
            "https://good.com.evil.com",
            "https://evilgood.com",
            "https://good.com:8443",
            "http://good.com",
            "https://good.com/",
            "https://good.com@evil.com",
            "https://evil.com#good.com",
            "https://sub.good.com",
            "good.com",
            "https://good.com:",
            "https://good.com:+443",
            "https://llm.example.com:8443",
            "wss://llm.example.com",
            "file://",
        ] {
            assert!(
                !may_send(Some(origin), "llm.example.com", listed),
                "{origin}"
            );
        }
        let mut twice = HeaderMap::new();
        twice.append(header::ORIGIN, "https://good.com".parse().unwrap());
        twice.append(header::ORIGIN, "https://good.com".parse().unwrap());
        assert!(!Origin::may_send(
            &twice,
            false,
            &["https://good.com".parse().unwrap()]
        ));
    }

    #[test]
    fn an_origin_is_written_as_it_is_compared() {
        let origin: Origin = "HTTPS://Good.com:443".parse().unwrap();
        assert_eq!(origin.to_string(), "https://good.com");
    }
}

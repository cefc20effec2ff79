//! Which addresses may be connected to, decided on the addresses themselves.
//!
//! A name is looked up once; every address of the answer is vetted; the connection goes to one of exactly those. There is
//! no second lookup that could answer otherwise (DNS rebinding), and the peer of the open socket is compared once more.
//! Literal addresses take the same way, so `https://0x7f000001/` is what it resolves to.

use futures_util::future::BoxFuture;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// How a name becomes addresses. The system's resolver outside tests.
pub(super) trait Resolve: Send + Sync + 'static {
    /// All addresses of a host, without brackets around IPv6.
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The operating system's resolver.
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// How far a connection may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Public addresses.
    Public,
    /// Public addresses and this machine: `https` in development.
    PublicOrLoopback,
    /// This machine alone: plain `http` in development.
    Loopback,
}

/// An address that [`vetted`] has passed. Only this connects.
pub(super) struct Vetted {
    address: SocketAddr,
    reach: Reach,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("`{host}` resolves to {what}; only public addresses may be reached")]
    NotPublic { host: String, what: &'static str },
    #[error("`{host}` does not resolve")]
    Unresolved {
        host: String,
        #[source]
        cause: io::Error,
    },
    #[error("`{host}` does not accept connections")]
    Unreachable {
        host: String,
        #[source]
        cause: io::Error,
    },
    #[error("connecting took too long")]
    TimedOut,
}

/// Looks a host up, once, and vets every address.
///
/// One bad address condemns the whole answer: a name with a public and a private address is not half trustworthy.
pub(super) async fn vetted(
    resolver: &dyn Resolve,
    host: &str,
    port: u16,
    reach: Reach,
) -> Result<Vec<Vetted>, ConnectError> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let answer = match bare.parse::<IpAddr>() {
        Ok(literal) => vec![SocketAddr::new(literal, port)],
        Err(_) => resolver
            .resolve(bare.to_owned(), port)
            .await
            .map_err(|cause| ConnectError::Unresolved { host: host.to_owned(), cause })?,
    };
    if answer.is_empty() {
        let cause = io::Error::from(io::ErrorKind::NotFound);
        return Err(ConnectError::Unresolved { host: host.to_owned(), cause });
    }
    answer
        .into_iter()
        .map(|address| match refusal(address.ip(), reach) {
            Some(what) => Err(ConnectError::NotPublic { host: host.to_owned(), what }),
            None => Ok(Vetted { address: SocketAddr::new(address.ip(), port), reach }),
        })
        .collect()
}

/// Connects to the first vetted address that answers; later ones get their turn after two seconds each.
pub(super) async fn connect(host: &str, addresses: Vec<Vetted>) -> Result<TcpStream, ConnectError> {
    const TURN: Duration = Duration::from_secs(2);
    let last = addresses.len().saturating_sub(1);
    let mut cause = io::Error::from(io::ErrorKind::NotFound);
    for (turn, Vetted { address, reach }) in addresses.into_iter().enumerate() {
        let attempt = TcpStream::connect(address);
        // The last one may use what time is left; the caller's timeout is around all of this.
        let outcome = if turn == last {
            attempt.await
        } else {
            tokio::time::timeout(TURN, attempt).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        };
        let stream = match outcome {
            Ok(stream) => stream,
            Err(error) => {
                cause = error;
                continue;
            }
        };
        let peer = stream.peer_addr().map_err(|cause| ConnectError::Unreachable { host: host.to_owned(), cause })?;
        if peer.ip() != address.ip() || refusal(peer.ip(), reach).is_some() {
            return Err(ConnectError::NotPublic { host: host.to_owned(), what: "another address than was vetted" });
        }
        let _ = stream.set_nodelay(true);
        return Ok(stream);
    }
    Err(ConnectError::Unreachable { host: host.to_owned(), cause })
}

/// Whether a host is this machine by its spelling: what plain `http` in development may name.
pub(super) fn names_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What kind of forbidden address this is; none if it may be connected to.
fn refusal(ip: IpAddr, reach: Reach) -> Option<&'static str> {
    match (ip.is_loopback(), reach) {
        (true, Reach::PublicOrLoopback | Reach::Loopback) => None,
        (false, Reach::Loopback) => Some("an address outside this machine, and plain http stays on it"),
        _ => match ip {
            IpAddr::V4(v4) => special_v4(v4),
            IpAddr::V6(v6) => special_v6(v6),
        },
    }
}

/// The IANA special-purpose registry for IPv4 (RFC 6890), and the one metadata address that looks public.
fn special_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let what = match ip.octets() {
        [0, ..] => "an unspecified address",
        [127, ..] => "a loopback address",
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => "a private address",
        [100, 64..=127, ..] => "a carrier's private address",
        [169, 254, ..] => "a link-local address",
        [168, 63, 129, 16] => "a cloud's metadata address",
        [192, 0, 0, _] => "a protocol's own address",
        [192, 88, 99, _] => "a relay's address",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "an address for documentation",
        [198, 18..=19, ..] => "an address for benchmarks",
        [224..=239, ..] => "a multicast address",
        [240..=255, ..] => "a reserved address",
        _ => return None,
    };
    Some(what)
}

/// Global unicast is 2000::/3; of it and of the forms that embed IPv4, what leads elsewhere is refused.
fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        special_v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low),
        // NAT64's well-known prefix: an IPv6-only network reaches the public IPv4 by it (RFC 6052 §2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // 6to4 (RFC 3056 §2).
        [0x2002, high, low, ..] => embedded(high, low),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        [0, 0, 0, 0, 0, 0, ..] => Some("an unspecified or IPv4-compatible address"),
        [0xfc00..=0xfdff, ..] => Some("a private address"),
        [0xfe80..=0xfeff, ..] => Some("a link-local or site-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Some("an address for documentation"),
        // Teredo, ORCHID, benchmarks and the rest of 2001::/23 (RFC 6890 §2.2.3).
        [0x2001, 0..=0x01ff, ..] => Some("a protocol's own address"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("a reserved address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, reach: Reach, allowed: bool) {
        assert_eq!(refusal(address.parse().unwrap(), reach).is_none(), allowed, "{address} {reach:?}");
    }

    #[test]
    fn public_addresses_pass() {
        for address in
            ["8.8.8.8", "142.250.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "169.253.0.1"]
        {
            check(address, Reach::Public, true);
        }
        for address in
            ["2606:4700::1", "2a00:1450::1", "2001:4860::1", "64:ff9b::8.8.8.8", "2002:808:808::1", "::ffff:8.8.8.8"]
        {
            check(address, Reach::Public, true);
        }
    }

    #[test]
    fn addresses_that_lead_inside_are_refused() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            check(address, Reach::Public, false);
            check(&format!("::ffff:{address}"), Reach::Public, false);
            check(&format!("64:ff9b::{address}"), Reach::Public, false);
            check(&format!("::{address}"), Reach::Public, false);
            let [a, b, c, d] = address.parse::<Ipv4Addr>().unwrap().octets();
            check(&format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"), Reach::Public, false);
        }
        for address in [
            "::",
            "::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2001:20::1",
            "3fff::1",
            "64:ff9b:1::1",
            "100::1",
            "5f00::1",
            "4000::1",
        ] {
            check(address, Reach::Public, false);
        }
    }

    #[test]
    fn development_reaches_this_machine_and_nothing_else_that_is_private() {
        for address in ["127.0.0.1", "::1"] {
            check(address, Reach::PublicOrLoopback, true);
            check(address, Reach::Loopback, true);
        }
        check("8.8.8.8", Reach::Loopback, false);
        for address in ["10.0.0.1", "169.254.169.254", "192.168.0.1", "::ffff:127.0.0.1", "fd00::1", "0.0.0.0"] {
            check(address, Reach::PublicOrLoopback, false);
            check(address, Reach::Loopback, false);
        }
    }

    #[test]
    fn loopback_is_known_by_its_spelling() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.3.2.1", "[::1]"] {
            assert!(names_loopback(host), "{host}");
        }
        for host in ["localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "0x7f000001", "", "example.com"] {
            assert!(!names_loopback(host), "{host}");
        }
    }
}

//! Which addresses are connected to: a registry, and whoever answers for one, is a stranger that must not reach into the network that
//! this machine stands in.
//!
//! A name is resolved once, every address is judged, and what is connected to is one of those that passed: not the name again, which
//! may say something else by then. A public name leads to public addresses only. A redirect or a token's realm may lead outwards from
//! where the registry was found ([`Zone`]), never inwards. Addresses of a link, such as that of a cloud's metadata, are never asked.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;

use tokio::net::TcpStream;

use crate::pack::registry::reference::Host;

/// A future of a [`Network`].
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Names and connections. The machine's is [`Machine`]; tests have their own, because a loopback looks like no public network.
pub trait Network: Send + Sync {
    /// The addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<IpAddr>>;

    /// A connection to an address that was judged.
    fn connect(&self, address: SocketAddr) -> Answer<'_, TcpStream>;
}

/// The network of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Network for Machine {
    fn resolve<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<IpAddr>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }

    fn connect(&self, address: SocketAddr) -> Answer<'_, TcpStream> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }
}

/// How near an address is, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Zone {
    /// This machine.
    Loopback,
    /// A network of somebody's own: RFC 1918, RFC 4193, RFC 6598, and RFC 2544's, which proxies use.
    Private,
    /// The Internet.
    Public,
}

impl Zone {
    /// Where `address` is; nothing for one that no registry has: of a link, of a group, of documentation, reserved.
    pub fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Option<Self> {
        match address.octets() {
            [127, ..] => Some(Self::Loopback),
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => Some(Self::Private),
            [0 | 224..=255, ..] | [169, 254, ..] | [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => None,
            _ => Some(Self::Public),
        }
    }

    fn of_v6(address: Ipv6Addr) -> Option<Self> {
        let embedded = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Some(Self::Loopback),
            // Mapped, compatible, translated by RFC 6052, and 6to4: each is an address of version 4 in the end.
            [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
                embedded(high, low)
            }
            [0xfc00..=0xfdff, ..] => Some(Self::Private),
            [0x2001, 0x0db8, ..] | [0x2001, 0..=0x1ff, ..] => None,
            [0x2000..=0x3fff, ..] => Some(Self::Public),
            _ => None,
        }
    }
}

/// The nearest zone in which the registry that a person names may be. An address is a person's own word; so is `localhost`, and a
/// name that only means something within a network. A public name in a private network is allowed if the person says so.
pub(super) fn nearest_allowed(host: &Host, private_network: bool) -> Zone {
    match host {
        Host::Address(_) => Zone::Loopback,
        Host::Name(name) if is_local_name(name) => Zone::Loopback,
        Host::Name(_) if private_network => Zone::Private,
        Host::Name(_) => Zone::Public,
    }
}

/// Is it this machine that is meant, so that plain HTTP leaks nothing?
pub(super) fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Address(address) => Zone::of(*address) == Some(Zone::Loopback),
        Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
    }
}

/// Names of one label, and those that the Internet's names never have: RFC 6761, RFC 6762, RFC 8375, and ICANN's `internal`.
fn is_local_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or("");
    !name.contains('.') || matches!(last, "localhost" | "local" | "internal" | "test") || name.ends_with(".home.arpa")
}

/// Those of `addresses` that are no nearer than `nearest`; or the first that is, or that no registry has.
pub(super) fn judge(host: &Host, addresses: &[IpAddr], nearest: Zone) -> Result<Vec<IpAddr>, IpAddr> {
    // What must be this machine is this machine: a resolver cannot turn plain HTTP for `localhost` into a leak.
    let farthest = if is_loopback(host) { Zone::Loopback } else { Zone::Public };
    let passes = |address: &IpAddr| Zone::of(*address).is_some_and(|zone| (nearest..=farthest).contains(&zone));
    let passed: Vec<IpAddr> = addresses.iter().copied().filter(passes).collect();
    match addresses.first() {
        Some(first) if passed.is_empty() => Err(*first),
        _ => Ok(passed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(text: &str) -> Option<Zone> {
        Zone::of(text.parse().expect("an address"))
    }

    fn host(text: &str) -> Host {
        text.parse().expect("a host")
    }

    #[test]
    fn addresses_are_near_or_far_however_they_are_written() {
        for address in ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"] {
            assert_eq!(zone(address), Some(Zone::Loopback), "{address}");
        }
        for address in
            ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "198.18.0.1", "fd00::1", "::ffff:10.0.0.1"]
        {
            assert_eq!(zone(address), Some(Zone::Private), "{address}");
        }
        for address in ["1.1.1.1", "172.32.0.1", "172.15.0.1", "100.128.0.1", "2606:4700::1", "::ffff:1.1.1.1", "2002:101:101::"]
        {
            assert_eq!(zone(address), Some(Zone::Public), "{address}");
        }
        let nobody = [
            "0.0.0.0",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "203.0.113.9",
            "::",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "fec0::1",
            "4000::1",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
        ];
        for address in nobody {
            assert_eq!(zone(address), None, "{address}");
        }
    }

    #[test]
    fn a_public_name_leads_to_public_addresses_only() {
        let judged = |name: &str, private_network: bool, addresses: &[&str]| {
            let host = host(name);
            let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().expect("an address")).collect();
            judge(&host, &addresses, nearest_allowed(&host, private_network)).map(|passed| passed.len())
        };
        assert_eq!(judged("ghcr.io", false, &["140.82.121.34"]), Ok(1));
        for near in ["127.0.0.2", "169.254.169.254", "10.1.2.3", "::1", "::ffff:127.0.0.1", "0.0.0.0"] {
            assert_eq!(judged("evil.example", false, &[near]), Err(near.parse().expect("an address")));
            // One good address does not carry a bad one in.
            assert_eq!(judged("evil.example", false, &[near, "140.82.121.34"]), Ok(1));
        }
        assert_eq!(judged("registry.acme.com", true, &["10.1.2.3"]), Ok(1));
        assert!(judged("registry.acme.com", true, &["127.0.0.1"]).is_err());
        assert!(judged("registry.acme.com", true, &["169.254.169.254"]).is_err());
        assert_eq!(judged("registry.internal", false, &["10.1.2.3"]), Ok(1));
        assert!(judged("metadata.google.internal", false, &["169.254.169.254"]).is_err());
        assert_eq!(judged("registry", false, &["192.168.0.9"]), Ok(1));
        assert_eq!(judged("10.1.2.3", false, &["10.1.2.3"]), Ok(1));
        assert!(judged("169.254.169.254", false, &["169.254.169.254"]).is_err());
        // Plain HTTP is spoken to `localhost`, so it must be this machine.
        assert!(judged("localhost", false, &["140.82.121.34"]).is_err());
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for name in ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(&host(name)), "{name}");
        }
        for name in ["localhost.evil.com", "registry", "10.0.0.1", "[::2]"] {
            assert!(!is_loopback(&host(name)), "{name}");
        }
    }
}

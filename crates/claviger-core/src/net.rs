//! Which addresses on the network Claviger goes to for others.
//!
//! Whoever may name an address that a server then connects to can have it knock on doors that are closed to
//! themselves: a cloud's metadata service, a database without a password, the server's own ports. So an address counts
//! only if it is in the public internet, by the registries of special addresses (IANA, RFC 6890), unless the operator
//! lists its host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::webhook::{Host, WebhookUrl};

/// Whether an address is in the public internet. Not public: loopback, private, shared (carrier-grade NAT), link-local,
/// unique local, multicast, unspecified, documentation, benchmarking and reserved ones, and all forms of IPv6 that lead
/// to one of those of IPv4.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The blocks of IPv4 that are not public: their first address, and how many bits they fix.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 15] = [
    // "This network".
    (Ipv4Addr::UNSPECIFIED, 8),
    // Private.
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Shared, for carrier-grade NAT.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // Loopback.
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, where clouds have their metadata.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Protocol assignments, and the old relays of 6to4.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    // Documentation.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Benchmarking.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Multicast; reserved, with the broadcast address.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |(block, bits): &(Ipv4Addr, u32)| (address.to_bits() ^ block.to_bits()) >> (32 - bits) == 0;
    !NOT_PUBLIC_V4.iter().any(within)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // IPv4-mapped, NAT64 by its well-known prefix, and 6to4: the address behind counts.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        // Protocol assignments, with Teredo and benchmarking among them; documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Global unicast. What is outside of it (unspecified, loopback, IPv4-compatible, NAT64 by a local prefix, unique
        // local, link-local, site-local, multicast) is not public.
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

/// Where Claviger goes for others: to the public internet by https, and to the hosts that the operator lists, which may
/// be internal and may use http.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reach {
    listed: Vec<Listed>,
}

/// A host that the operator lists: on one port, or on all.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Listed {
    host: Host,
    port: Option<u16>,
}

/// An entry that is no host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be a host, or a host and a port: hooks.internal, 10.0.0.5:8080, [::1]:8080")]
pub struct InvalidHost;

/// Why Claviger does not go somewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OutOfReach {
    /// Not encrypted.
    #[error("must begin with https://")]
    NotHttps,
    /// Not in the public internet.
    #[error("must not lead to an internal address")]
    Internal,
}

impl Reach {
    /// With these hosts listed.
    pub fn new<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidHost> {
        let listed: Result<_, _> = hosts.into_iter().map(str::parse).collect();
        Ok(Self { listed: listed? })
    }

    /// Whether a webhook may have this address, as far as the address itself tells. What its name leads to is looked at
    /// when it is connected to, by [`Reach::includes`].
    pub fn permits(&self, url: &WebhookUrl) -> Result<(), OutOfReach> {
        if self.lists(url) {
            return Ok(());
        }
        if !url.is_https() {
            return Err(OutOfReach::NotHttps);
        }
        match url.host() {
            Host::Address(address) if !is_public(*address) => Err(OutOfReach::Internal),
            Host::Name(name) if is_localhost(name) => Err(OutOfReach::Internal),
            Host::Address(_) | Host::Name(_) => Ok(()),
        }
    }

    /// Whether a webhook may be connected to at this address, which its name leads to.
    #[must_use]
    pub fn includes(&self, url: &WebhookUrl, address: IpAddr) -> bool {
        self.lists(url) || is_public(address)
    }

    /// Whether the address's host is listed, on its port.
    #[must_use]
    pub fn lists(&self, url: &WebhookUrl) -> bool {
        let same = |listed: &Listed| listed.host == *url.host() && listed.port.is_none_or(|port| port == url.port());
        self.listed.iter().any(same)
    }
}

/// Names that mean the machine itself everywhere (RFC 6761).
fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

impl FromStr for Listed {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        // An IPv6 address by itself has colons, but no port.
        if let Ok(address) = text.parse() {
            return Ok(Self { host: Host::Address(address), port: None });
        }
        let (host, port) = Host::parse_authority(text).map_err(|_| InvalidHost)?;
        Ok(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        let rows = [
            ("1.1.1.1", true),
            ("8.8.8.8", true),
            ("100.63.255.255", true),
            ("100.128.0.0", true),
            ("169.253.255.255", true),
            ("169.255.0.0", true),
            ("172.15.255.255", true),
            ("172.32.0.0", true),
            ("192.167.255.255", true),
            ("192.169.0.0", true),
            ("192.0.1.0", true),
            ("198.17.255.255", true),
            ("198.20.0.0", true),
            ("223.255.255.255", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("10.0.0.1", false),
            ("10.255.255.255", false),
            ("100.64.0.0", false),
            ("100.127.255.255", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("169.254.0.1", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.8", false),
            ("192.0.2.1", false),
            ("192.88.99.1", false),
            ("192.168.0.1", false),
            ("198.18.0.1", false),
            ("198.19.255.255", false),
            ("198.51.100.1", false),
            ("203.0.113.1", false),
            ("224.0.0.1", false),
            ("239.255.255.255", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700:4700::1111", true),
            ("2001:4860:4860::8888", true),
            ("2001:200::1", true),
            ("2a00::1", true),
            ("::", false),
            ("::1", false),
            ("2001::1", false),
            ("2001:0:4136:e378::1", false),
            ("2001:2::1", false),
            ("2001:10::1", false),
            ("2001:1ff::1", false),
            ("2001:db8::1", false),
            ("3fff::1", false),
            ("3fff:fff::1", false),
            ("3fff:1000::1", true),
            ("5f00::1", false),
            ("100::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            // The forms of IPv4 in IPv6.
            ("::ffff:8.8.8.8", true),
            ("::ffff:127.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("::127.0.0.1", false),
            ("::8.8.8.8", false),
            ("::ffff:0:127.0.0.1", false),
            ("64:ff9b::8.8.8.8", true),
            ("64:ff9b::127.0.0.1", false),
            ("64:ff9b::10.0.0.1", false),
            ("64:ff9b:1::8.8.8.8", false),
            ("2002:808:808::1", true),
            ("2002:7f00:1::1", false),
            ("2002:a00:1::1", false),
            ("2002:c0a8:1::1", false),
            ("2002:a9fe:a9fe::1", false),
        ];
        for (address, public) in rows {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn a_webhook_reaches_the_public_internet_by_https_and_listed_hosts_in_any_way() {
        let reach = Reach::new(["hooks.internal", "10.0.0.5:8080", "[::1]:9000", "fd00::1"]).unwrap();
        for (url, expected) in [
            ("https://example.com/hook", Ok(())),
            ("https://8.8.8.8/hook", Ok(())),
            ("https://localhosts.example/hook", Ok(())),
            ("http://example.com/hook", Err(OutOfReach::NotHttps)),
            ("http://127.0.0.1/hook", Err(OutOfReach::NotHttps)),
            ("https://127.0.0.1/hook", Err(OutOfReach::Internal)),
            ("https://169.254.169.254/latest", Err(OutOfReach::Internal)),
            ("https://[::1]/hook", Err(OutOfReach::Internal)),
            ("https://[::ffff:10.0.0.5]:8080/hook", Err(OutOfReach::Internal)),
            ("https://localhost/hook", Err(OutOfReach::Internal)),
            ("https://app.LOCALHOST/hook", Err(OutOfReach::Internal)),
            ("https://hooks.internal/hook", Ok(())),
            ("http://HOOKS.internal:1234/hook", Ok(())),
            ("http://other.hooks.internal/hook", Err(OutOfReach::NotHttps)),
            ("http://10.0.0.5:8080/hook", Ok(())),
            ("http://10.0.0.5/hook", Err(OutOfReach::NotHttps)),
            ("https://10.0.0.5/hook", Err(OutOfReach::Internal)),
            ("http://[::1]:9000/hook", Ok(())),
            ("http://[fd00::1]/hook", Ok(())),
        ] {
            assert_eq!(reach.permits(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn what_a_name_leads_to_is_judged_too_unless_the_name_is_listed() {
        let reach = Reach::new(["hooks.internal"]).unwrap();
        let [public, internal] = ["8.8.8.8", "10.0.0.5"].map(|address| address.parse().unwrap());
        let [listed, other] = ["https://hooks.internal", "https://example.com"].map(|url| url.parse().unwrap());
        assert!(reach.includes(&listed, internal) && reach.includes(&listed, public));
        assert!(reach.includes(&other, public) && !reach.includes(&other, internal));
    }

    #[test]
    fn what_is_no_host_is_not_listed() {
        for text in ["", "http://a", "a/b", "a:0", "a:99999", "a:", ":80", "[::1", "::1]", "10.0.0.0/8", "*.a", "a b"] {
            assert_eq!(Reach::new([text]), Err(InvalidHost), "{text:?}");
        }
    }
}

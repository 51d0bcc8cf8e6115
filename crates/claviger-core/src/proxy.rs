//! Whose request it is that a proxy passes on.
//!
//! Anybody can write `X-Forwarded-For`. What stands there counts only as far as it was written by proxies that the
//! operator trusts: each adds whom it has the request from at the right end, so the list is read from there, and the
//! first address that is no trusted proxy is the caller's.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A block of addresses: `10.0.0.0/8`, `fd00::/8`, or a single one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    address: IpAddr,
    bits: u32,
}

/// What is no block of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be an address, or a block of addresses: 10.0.0.5, 10.0.0.0/8, fd00::/8")]
pub struct InvalidBlock;

impl Block {
    /// Whether the address is one of the block's. The forms of IPv4 in IPv6 are not, but by [`IpAddr::to_canonical`].
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(block), IpAddr::V4(address)) => {
                let differ = block.to_bits() ^ address.to_bits();
                differ.checked_shr(u32::BITS - self.bits).unwrap_or_default() == 0
            }
            (IpAddr::V6(block), IpAddr::V6(address)) => {
                let differ = block.to_bits() ^ address.to_bits();
                differ.checked_shr(Ipv6Addr::BITS - self.bits).unwrap_or_default() == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Block {
    type Err = InvalidBlock;

    fn from_str(text: &str) -> Result<Self, InvalidBlock> {
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits)),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidBlock)?;
        let all = if address.is_ipv4() { u32::BITS } else { Ipv6Addr::BITS };
        let bits = match bits {
            None => all,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= all).ok_or(InvalidBlock)?,
        };
        Ok(Self { address, bits })
    }
}

/// The proxies whose word on where a request comes from is believed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrustedProxies(Vec<Block>);

impl TrustedProxies {
    /// Those in these blocks.
    pub fn new<'a>(blocks: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidBlock> {
        let blocks: Result<_, _> = blocks.into_iter().map(str::parse).collect();
        Ok(Self(blocks?))
    }

    /// The address of the caller whose request came over a connection from `peer`, with these lines of
    /// `X-Forwarded-For` and `Forwarded` (RFC 7239).
    ///
    /// Where both are there and do not say the same, one of them may be the caller's own invention that its proxy knows
    /// nothing of: neither is believed, and the caller is `peer`.
    #[must_use]
    pub fn caller<'a>(
        &self,
        peer: IpAddr,
        x_forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
        forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let mut plain = x_forwarded_for.rev().flat_map(|line| line.rsplit(|byte| *byte == b',')).peekable();
        let mut standard = forwarded.rev().flat_map(elements_from_the_right).peekable();
        match (plain.peek().is_some(), standard.peek().is_some()) {
            (true, false) => self.nearest(peer, plain),
            (false, true) => self.nearest(peer, standard.map(node)),
            (true, true) => {
                let plain = self.nearest(peer, plain);
                if plain == self.nearest(peer, standard.map(node)) { plain } else { peer }
            }
            (false, false) => peer,
        }
    }

    /// Whether this is the address of one of them.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|block| block.contains(address))
    }

    /// The first address from the right that is no trusted proxy; where what stands there is no address, the proxy that
    /// wrote it; where all are trusted, the last of them.
    fn nearest<'a>(&self, peer: IpAddr, from_the_right: impl Iterator<Item = &'a [u8]>) -> IpAddr {
        let mut nearest = peer;
        for node in from_the_right.map(<[u8]>::trim_ascii).filter(|node| !node.is_empty()) {
            let Some(address) = address(node) else {
                break;
            };
            nearest = address;
            if !self.trusts(address) {
                break;
            }
        }
        nearest
    }
}

/// The address of a node: with or without a port, IPv6 in brackets or not.
fn address(node: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(node).ok()?;
    let bare = || text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse().ok();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    bare().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// The elements of a line of `Forwarded`.
fn elements_from_the_right(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    // Quotes can only be told from the left.
    let elements: Vec<_> = outside_of_quotes(line, b',').collect();
    elements.into_iter().rev()
}

/// Whom the proxy that wrote this element has the request from; `unknown` where it does not say so.
fn node(element: &[u8]) -> &[u8] {
    const UNKNOWN: &[u8] = b"unknown";
    if element.trim_ascii().is_empty() {
        return element;
    }
    let value = outside_of_quotes(element, b';').find_map(|pair| {
        let (name, value) = pair.trim_ascii().split_at_checked(b"for=".len())?;
        name.eq_ignore_ascii_case(b"for=").then_some(value)
    });
    let value = value.unwrap_or(UNKNOWN);
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    quoted.or(Some(value)).filter(|value| !value.is_empty()).unwrap_or(UNKNOWN)
}

fn outside_of_quotes(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => return *byte == separator && !quoted,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(peer: &str, x_forwarded_for: &[&str], forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::new(["10.0.0.0/8", "192.0.2.7", "fd00::/8"]).unwrap();
        let lines = |lines: &[&str]| lines.iter().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>();
        let (plain, standard) = (lines(x_forwarded_for), lines(forwarded));
        let peer = peer.parse().unwrap();
        proxies.caller(peer, plain.iter().map(Vec::as_slice), standard.iter().map(Vec::as_slice)).to_string()
    }

    #[test]
    fn a_block_holds_its_addresses_and_no_others() {
        let rows = [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.0.0.5", "10.0.0.5", true),
            ("10.0.0.5", "10.0.0.4", false),
            ("10.0.0.5/32", "10.0.0.5", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("2001:db8::1", "2001:db8::1", true),
            ("2001:db8::1/128", "2001:db8::2", false),
        ];
        for (block, address, holds) in rows {
            let (block, address): (Block, IpAddr) = (block.parse().unwrap(), address.parse().unwrap());
            assert_eq!(block.contains(address), holds, "{block:?} {address}");
        }
        for text in ["", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0", "proxy", "10.0.0.1:80"] {
            assert_eq!(text.parse::<Block>(), Err(InvalidBlock), "{text:?}");
        }
    }

    #[test]
    fn a_peer_that_is_no_trusted_proxy_is_the_caller_whatever_it_writes() {
        assert_eq!(caller("203.0.113.9", &["1.1.1.1"], &["for=1.1.1.1"]), "203.0.113.9");
        assert_eq!(caller("::ffff:203.0.113.9", &["1.1.1.1"], &[]), "203.0.113.9");
        let nobody = TrustedProxies::default();
        let peer = "127.0.0.1".parse().unwrap();
        assert_eq!(nobody.caller(peer, [b"1.1.1.1".as_slice()].into_iter(), std::iter::empty()), peer);
    }

    #[test]
    fn behind_trusted_proxies_the_first_other_address_from_the_right_is_the_caller() {
        let rows: &[(&[&str], &str)] = &[
            (&[], "10.0.0.1"),
            (&["203.0.113.9"], "203.0.113.9"),
            (&["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            (&["1.1.1.1, 203.0.113.9 , 10.0.0.2,192.0.2.7"], "203.0.113.9"),
            (&["1.1.1.1", "203.0.113.9", "10.0.0.2"], "203.0.113.9"),
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:203.0.113.9"], "203.0.113.9"),
            (&["203.0.113.9,, ", ""], "203.0.113.9"),
            // What is no address was not written by a proxy that knows its caller.
            (&["1.1.1.1, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["1.1.1.1, nonsense"], "10.0.0.1"),
            // All are trusted: whoever is behind the last one.
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ];
        for (lines, expected) in rows {
            assert_eq!(caller("10.0.0.1", lines, &[]), *expected, "{lines:?}");
        }
        assert_eq!(caller("::ffff:10.0.0.1", &["203.0.113.9"], &[]), "203.0.113.9");
        assert_eq!(caller("fd00::1", &["203.0.113.9"], &[]), "203.0.113.9");
    }

    #[test]
    fn the_standard_header_says_the_same() {
        let rows: &[(&[&str], &str)] = &[
            (&["for=203.0.113.9"], "203.0.113.9"),
            (&["For=\"203.0.113.9:4711\";proto=https;by=10.0.0.1"], "203.0.113.9"),
            (&["proto=https; for=\"[2001:db8::1]:4711\""], "2001:db8::1"),
            (&["for=1.1.1.1, for=203.0.113.9;by=10.0.0.2, for=10.0.0.2"], "203.0.113.9"),
            (&["for=1.1.1.1", "for=203.0.113.9", "for=10.0.0.2"], "203.0.113.9"),
            (&["for=1.1.1.1;host=\"a,b\\\",c\", for=203.0.113.9"], "203.0.113.9"),
            (&["for=1.1.1.1, for=unknown"], "10.0.0.1"),
            (&["for=1.1.1.1, for=_hidden, for=10.0.0.2"], "10.0.0.2"),
            (&["for=1.1.1.1, by=10.0.0.2"], "10.0.0.1"),
            (&["for="], "10.0.0.1"),
            // A quote that the caller left open takes the proxy's own word away, and nothing is believed.
            (&["for=\"1.1.1.1, for=203.0.113.9"], "10.0.0.1"),
        ];
        for (lines, expected) in rows {
            assert_eq!(caller("10.0.0.1", &[], lines), *expected, "{lines:?}");
        }
    }

    #[test]
    fn headers_that_do_not_agree_are_both_not_believed() {
        assert_eq!(caller("10.0.0.1", &["203.0.113.9"], &["for=203.0.113.9"]), "203.0.113.9");
        assert_eq!(caller("10.0.0.1", &["203.0.113.9"], &["for=1.1.1.1"]), "10.0.0.1");
    }
}

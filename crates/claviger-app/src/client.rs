//! Where a request comes from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address of whoever sent a request: the other end of its connection, or what proxies that the operator trusts say
/// of it. Every request to the control plane carries one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ClientAddress(pub IpAddr);

/// Fixed in an IPv6 address by the provider; the rest of the bits is the customer's, who can have a new address for
/// every request.
const NETWORK: u32 = 64;

impl ClientAddress {
    /// Nobody said. Such requests count as one caller's.
    pub const UNKNOWN: Self = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    /// The address, where somebody said it.
    #[must_use]
    pub fn known(self) -> Option<IpAddr> {
        (self != Self::UNKNOWN).then_some(self.0)
    }

    /// What limits go by: the address, and of IPv6 the network of 64 bits.
    #[must_use]
    pub fn network(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() >> (Ipv6Addr::BITS - NETWORK) << (Ipv6Addr::BITS - NETWORK);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address @ IpAddr::V4(_) => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_counts_by_itself_and_an_ipv6_address_by_its_network() {
        let network = |address: &str| ClientAddress(address.parse().unwrap()).network().to_string();
        for (address, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            assert_eq!(network(address), expected);
        }
    }
}

//! Where a request comes from.

use std::net::IpAddr;

/// The address of whoever sent a request: the other end of its connection, or what proxies that the operator trusts say
/// of it. Every request to the control plane carries one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ClientAddress(pub IpAddr);

//! An address as it comes from PHP.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// An address that PHP's resolver found.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Ip {
    bytes: [u8; 16],
    scope: u32,
    v6: bool,
}

impl From<IpAddr> for Ip {
    fn from(ip: IpAddr) -> Self {
        let mut bytes = [0; 16];
        match ip {
            IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes = ip.octets(),
        }
        Self {
            bytes,
            scope: 0,
            v6: ip.is_ipv6(),
        }
    }
}

impl Ip {
    pub(super) fn with_port(&self, port: u16) -> SocketAddr {
        if self.v6 {
            return SocketAddrV6::new(Ipv6Addr::from(self.bytes), port, 0, self.scope).into();
        }
        let [a, b, c, d, ..] = self.bytes;
        SocketAddr::new(IpAddr::from([a, b, c, d]), port)
    }
}

//! Networks by address and length of prefix: `192.0.2.0/24`, `2001:db8::/32`, `::1`.
//!
//! Floor 1.

use std::net::IpAddr;

/// A network, or one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads one; why it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        const EXPECTED: &str = "networks, as in 192.0.2.0/24,2001:db8::/32";
        let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map_err(|_| EXPECTED)?
            }
            Some(_) => return Err(EXPECTED),
        };
        if prefix > longest {
            return Err(EXPECTED);
        }
        let network = match address.to_canonical() {
            // Of IPv4 in IPv6 form, as its addresses are.
            canonical @ IpAddr::V4(_) if address.is_ipv6() && prefix >= 96 => Self {
                address: canonical,
                prefix: prefix - 96,
            },
            _ => Self { address, prefix },
        };
        if network.beyond(network.address) != 0 {
            return Err("networks without bits beyond their prefix");
        }
        Ok(network)
    }

    /// Whether an address belongs to it; an IPv4 address in IPv6 form does as itself.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && bits(address) ^ self.beyond(address) == bits(self.address)
    }

    /// The bits of an address that the prefix leaves open.
    fn beyond(&self, address: IpAddr) -> u128 {
        let width = if address.is_ipv4() { 32 } else { 128 };
        let open = u32::from(width - self.prefix);
        let mask = u128::MAX.checked_shr(128 - open).unwrap_or(0);
        bits(address) & mask
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_belong_to_networks() {
        for (network, address, belongs) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("::ffff:192.0.2.0/120", "192.0.2.7", true),
            ("::ffff:192.0.2.0/120", "::ffff:192.0.3.7", false),
            ("::ffff:192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "255.0.0.1", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "ffff::1", true),
            ("2001:db8::/32", "2001:db8:ffff::", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("::1", "::1", true),
            ("::1", "::2", false),
        ] {
            let network = Network::parse(network).unwrap();
            assert_eq!(
                network.contains(address.parse().unwrap()),
                belongs,
                "{network:?} {address}"
            );
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "h",
            "192.0.2.1/24",
            "::ffff:192.0.2.1/120",
            "1.2.3.4/33",
            "::/129",
            "1.2.3.4/",
            "1.2.3.4/+1",
            "/8",
        ] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}

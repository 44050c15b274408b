//! Control messages: the local address of a datagram, `IP_PKTINFO` and `IPV6_PKTINFO`.
//!
//! A control buffer is a sequence of `struct cmsghdr` and data, each padded to the size of a
//! word, [cmsg(3)]. The layout is Linux's on 64 bits; reading it needs no unsafe code.
//!
//! [cmsg(3)]: https://man7.org/linux/man-pages/man3/cmsg.3.html

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Room for the largest message that is asked for, and one more.
pub(super) const CONTROL: usize = 2 * (HEADER + aligned(size_of::<libc::in6_pktinfo>()));

const HEADER: usize = size_of::<libc::cmsghdr>();
const WORD: usize = size_of::<usize>();
const _: () = assert!(
    HEADER == 16 && WORD == 8,
    "the layout below is that of 64-bit Linux"
);

/// An address of this host, and the interface that a datagram came in by.
///
/// Given back when answering, it makes the answer leave from the address that was asked, which
/// a socket bound to a wildcard address otherwise leaves to the routing table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LocalAddress {
    /// The address that the datagram was sent to.
    pub ip: IpAddr,
    /// The index of the interface, [netdevice(7)]; 0 leaves the choice to the routing table.
    ///
    /// [netdevice(7)]: https://man7.org/linux/man-pages/man7/netdevice.7.html
    pub interface: u32,
}

/// The local address in a control buffer that came with a datagram, if there is one.
pub(super) fn read(mut control: &[u8]) -> Option<LocalAddress> {
    while control.len() >= HEADER {
        let length = usize::from_ne_bytes(field(control, 0)?);
        let kind = (word(control, 8)?, word(control, 12)?);
        let data = control.get(HEADER..length)?;
        match kind {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => return read_v4(data),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => return read_v6(data),
            _ => control = control.get(aligned(length)..)?,
        }
    }
    None
}

/// Writes the message that makes a datagram leave from `local`; its length.
pub(super) fn write(local: LocalAddress, control: &mut [u8; CONTROL]) -> usize {
    let mut data = [0; size_of::<libc::in6_pktinfo>()];
    let (level, kind, length) = match local.ip {
        IpAddr::V4(ip) => {
            data[4..8].copy_from_slice(&ip.octets());
            (
                libc::IPPROTO_IP,
                libc::IP_PKTINFO,
                size_of::<libc::in_pktinfo>(),
            )
        }
        IpAddr::V6(ip) => {
            data[..16].copy_from_slice(&ip.octets());
            // Elsewhere the interface would override the routing table, and the way back may differ.
            let interface = if ip.is_unicast_link_local() {
                local.interface
            } else {
                0
            };
            data[16..].copy_from_slice(&interface.to_ne_bytes());
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, data.len())
        }
    };
    control[..8].copy_from_slice(&(HEADER + length).to_ne_bytes());
    control[8..12].copy_from_slice(&level.to_ne_bytes());
    control[12..16].copy_from_slice(&kind.to_ne_bytes());
    control[HEADER..HEADER + length].copy_from_slice(&data[..length]);
    aligned(HEADER + length)
}

/// `struct in_pktinfo`: interface, the local address to answer from, the address in the header.
///
/// The second differs from the third for broadcasts, from which no answer can leave.
fn read_v4(data: &[u8]) -> Option<LocalAddress> {
    let interface = u32::from_ne_bytes(field(data, 0)?);
    let ip = Ipv4Addr::from(field::<4>(data, 4)?);
    Some(LocalAddress {
        ip: ip.into(),
        interface,
    })
}

/// `struct in6_pktinfo`: the address in the header, interface.
fn read_v6(data: &[u8]) -> Option<LocalAddress> {
    let ip = Ipv6Addr::from(field::<16>(data, 0)?);
    let interface = u32::from_ne_bytes(field(data, 16)?);
    // No answer can leave from a multicast address.
    (!ip.is_multicast()).then_some(LocalAddress {
        ip: ip.into(),
        interface,
    })
}

const fn aligned(length: usize) -> usize {
    length.next_multiple_of(size_of::<usize>())
}

fn word(bytes: &[u8], at: usize) -> Option<libc::c_int> {
    Some(libc::c_int::from_ne_bytes(field(bytes, at)?))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v6_address_survives_the_kernels_form() {
        let local = LocalAddress {
            ip: "fe80::1".parse().unwrap(),
            interface: 7,
        };
        let mut control = [0; CONTROL];
        let length = write(local, &mut control);
        assert_eq!(read(&control[..length]), Some(local));
    }

    #[test]
    fn v4_answers_leave_the_interface_to_the_routing_table() {
        let local = LocalAddress {
            ip: "127.0.0.2".parse().unwrap(),
            interface: 7,
        };
        let mut control = [0; CONTROL];
        let length = write(local, &mut control);
        assert_eq!(
            read(&control[..length]),
            Some(LocalAddress {
                interface: 0,
                ..local
            })
        );
    }

    #[test]
    fn other_messages_and_short_ones_are_passed_over() {
        let mut control = [0; CONTROL];
        control[..8].copy_from_slice(&20_usize.to_ne_bytes());
        assert_eq!(read(&control), None);
        for length in 0..40 {
            assert_eq!(read(&control[..length]), None, "{length}");
        }
    }

    #[test]
    fn hostile_lengths_end_the_search() {
        for length in [0_usize, 1, 15, usize::MAX] {
            let mut control = [0; CONTROL];
            control[..8].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(read(&control), None, "{length}");
        }
    }
}

//! Control messages: the local address of a datagram (`IP_PKTINFO`, `IPV6_PKTINFO`), and the size
//! of the datagrams that came or go as one (`UDP_GRO`, `UDP_SEGMENT`, [udp(7)]).
//!
//! A control buffer is a sequence of `struct cmsghdr` and data, each padded to the size of a
//! word, [cmsg(3)]. The layout is Linux's on 64 bits; it is read byte by byte, without pointers.
//!
//! [cmsg(3)]: https://man7.org/linux/man-pages/man3/cmsg.3.html
//! [udp(7)]: https://man7.org/linux/man-pages/man7/udp.7.html

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

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

impl LocalAddress {
    /// The address of a socket to be bound to it.
    pub(crate) fn with_port(self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => {
                SocketAddrV6::new(ip, port, 0, self.interface).into()
            }
            ip => SocketAddr::new(ip, port),
        }
    }
}

/// What the control buffer of a datagram says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) local: Option<LocalAddress>,
    /// Bytes of each of the datagrams that came as one; the last may be shorter.
    pub(super) segment: Option<usize>,
}

/// What came with a datagram.
pub(super) fn read(mut control: &[u8]) -> Contents {
    let mut contents = Contents::default();
    while let Some((kind, data, rest)) = message(control) {
        match kind {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => contents.local = read_v4(data),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => contents.local = read_v6(data),
            (libc::SOL_UDP, libc::UDP_GRO) => {
                contents.segment = word(data, 0).and_then(|size| usize::try_from(size).ok());
            }
            _ => {}
        }
        control = rest;
    }
    contents
}

/// The level and the type of a message.
type Kind = (libc::c_int, libc::c_int);

/// The first message: its level and type, its data, and what follows it.
fn message(control: &[u8]) -> Option<(Kind, &[u8], &[u8])> {
    let length = usize::from_ne_bytes(field(control, 0)?);
    let kind = (word(control, 8)?, word(control, 12)?);
    let data = control.get(HEADER..length)?;
    Some((
        kind,
        data,
        control.get(aligned(length)..).unwrap_or_default(),
    ))
}

/// Writes the messages that make a datagram leave from `local`, and in pieces of `segment` bytes;
/// their length.
pub(super) fn write(
    local: Option<LocalAddress>,
    segment: Option<u16>,
    control: &mut [u8; CONTROL],
) -> usize {
    let mut length = 0;
    if let Some(local) = local {
        length = write_local(local, control);
    }
    if let Some(segment) = segment {
        let kind = (libc::SOL_UDP, libc::UDP_SEGMENT);
        length += put(kind, &segment.to_ne_bytes(), &mut control[length..]);
    }
    length
}

fn write_local(local: LocalAddress, control: &mut [u8]) -> usize {
    match local.ip {
        IpAddr::V4(ip) => {
            let mut data = [0; size_of::<libc::in_pktinfo>()];
            data[4..8].copy_from_slice(&ip.octets());
            put((libc::IPPROTO_IP, libc::IP_PKTINFO), &data, control)
        }
        IpAddr::V6(ip) => {
            let mut data = [0; size_of::<libc::in6_pktinfo>()];
            data[..16].copy_from_slice(&ip.octets());
            // Elsewhere the interface would override the routing table, and the way back may be
            // another.
            let interface = if ip.is_unicast_link_local() {
                local.interface
            } else {
                0
            };
            data[16..].copy_from_slice(&interface.to_ne_bytes());
            put((libc::IPPROTO_IPV6, libc::IPV6_PKTINFO), &data, control)
        }
    }
}

fn put((level, kind): Kind, data: &[u8], control: &mut [u8]) -> usize {
    let length = HEADER + data.len();
    control[..8].copy_from_slice(&length.to_ne_bytes());
    control[8..12].copy_from_slice(&level.to_ne_bytes());
    control[12..16].copy_from_slice(&kind.to_ne_bytes());
    control[HEADER..length].copy_from_slice(data);
    control[length..aligned(length)].fill(0);
    aligned(length)
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

    fn round_trip(local: LocalAddress) -> Option<LocalAddress> {
        let mut control = [0xff; CONTROL];
        let length = write(Some(local), None, &mut control);
        read(&control[..length]).local
    }

    #[test]
    fn a_link_local_address_keeps_its_interface() {
        let local = LocalAddress {
            ip: "fe80::1".parse().unwrap(),
            interface: 7,
        };
        assert_eq!(round_trip(local), Some(local));
    }

    #[test]
    fn other_answers_leave_the_interface_to_the_routing_table() {
        for ip in ["127.0.0.2", "2001:db8::1"] {
            let local = LocalAddress {
                ip: ip.parse().unwrap(),
                interface: 7,
            };
            assert_eq!(
                round_trip(local),
                Some(LocalAddress {
                    interface: 0,
                    ..local
                })
            );
        }
    }

    #[test]
    fn sizes_and_addresses_stand_side_by_side() {
        let local = LocalAddress {
            ip: "127.0.0.2".parse().unwrap(),
            interface: 0,
        };
        let mut control = [0xff; CONTROL];
        let length = write_local(local, &mut control);
        let size = 1200_i32.to_ne_bytes();
        let length = length
            + put(
                (libc::SOL_UDP, libc::UDP_GRO),
                &size,
                &mut control[length..],
            );
        let expected = Contents {
            local: Some(local),
            segment: Some(1200),
        };
        assert_eq!(read(&control[..length]), expected);
    }

    #[test]
    fn other_messages_and_short_ones_are_passed_over() {
        let mut control = [0; CONTROL];
        control[..8].copy_from_slice(&20_usize.to_ne_bytes());
        for length in 0..=CONTROL {
            assert_eq!(read(&control[..length]), Contents::default(), "{length}");
        }
    }

    #[test]
    fn hostile_lengths_end_the_search() {
        for length in [0_usize, 1, 15, usize::MAX] {
            let mut control = [0; CONTROL];
            control[..8].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(read(&control), Contents::default(), "{length}");
        }
    }
}

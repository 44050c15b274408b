//! How large an answer over datagrams may be.
//!
//! The sender of a UDP datagram can be forged, and whoever is named in it gets the answer. An
//! answer much larger than what was asked would be a weapon.

use stream_socket::SocketAddress;

/// An answer is at most this many times as large as what was asked, both with their headers.
///
/// RFC 9000 section 8.1 allows a QUIC server the same before the client's address is confirmed.
const FACTOR: usize = 3;

/// RFC 791 section 3.1 without options, and RFC 768.
const V4_HEADERS: usize = 20 + 8;
/// RFC 8200 section 3, and RFC 768.
const V6_HEADERS: usize = 40 + 8;

/// The most bytes of an answer to `asked` bytes from `peer`.
///
/// Over unix sockets the kernel says who the sender is: there is no limit.
pub(crate) fn largest_answer(asked: usize, peer: &SocketAddress) -> usize {
    let headers = match peer.ip() {
        None => return usize::MAX,
        // IPv4 clients of an IPv6 socket have mapped addresses.
        Some(ip) if ip.to_canonical().is_ipv4() => V4_HEADERS,
        Some(_) => V6_HEADERS,
    };
    FACTOR * (headers + asked) - headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_count_on_both_sides() {
        for (peer, asked, expected) in [
            ("127.0.0.1:5000", 0, 56),
            ("127.0.0.1:5000", 100, 356),
            ("[::ffff:127.0.0.1]:5000", 0, 56),
            ("[::1]:5000", 0, 96),
        ] {
            let address = SocketAddress::Inet(peer.parse().unwrap());
            assert_eq!(largest_answer(asked, &address), expected, "{peer}");
        }
    }
}

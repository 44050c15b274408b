//! Addresses in PHP's manner.

use std::net::SocketAddr;

use stream_socket::SocketAddress;

/// An address as PHP writes it: abstract names with their NUL.
pub(super) fn text_of(address: &SocketAddress) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    match address {
        SocketAddress::Unix(unix) => match (unix.as_path(), unix.as_abstract()) {
            (Some(path), _) => path.as_os_str().as_bytes().to_owned(),
            (None, Some(name)) => [b"\0", name].concat(),
            (None, None) => Vec::new(),
        },
        address => without_zone(address).into_bytes(),
    }
}

/// PHP leaves out the zone of a link-local address.
fn without_zone(address: &SocketAddress) -> String {
    match (address.ip(), address.port()) {
        (Some(ip), Some(port)) => SocketAddr::new(ip, port).to_string(),
        _ => address.to_string(),
    }
}

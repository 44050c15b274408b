//! Socket addresses in the kernel's form and in ours.
//!
//! The kernel's form is read here, not by rustix, which panics at a unix path of 108 bytes, keeps
//! the NUL behind one of 107, and takes an unnamed socket for the empty abstract name.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;

use rustix::net::{SocketAddrAny, SocketAddrUnix};

use super::{Errno, ffi};
use crate::address::{SocketAddress, UnixAddress, VsockAddress};

/// The longest address the kernel returns: `struct sockaddr_storage`.
pub(super) const STORAGE: usize = size_of::<libc::sockaddr_storage>();

/// The kernel's form of a unix address.
pub(super) fn unix(address: &UnixAddress) -> Result<SocketAddrUnix, Errno> {
    match (address.as_path(), address.as_abstract()) {
        (Some(path), _) => SocketAddrUnix::new(path),
        (None, Some(name)) => SocketAddrUnix::new_abstract_name(name),
        (None, None) => Ok(SocketAddrUnix::new_unnamed()),
    }
}

/// Our form of what the kernel returned; `None` where it has no name, as most unix clients.
pub(super) fn ours(address: Option<&SocketAddrAny>) -> Option<SocketAddress> {
    read(ffi::address_bytes(address?))
}

/// Writes an address as `struct sockaddr_in`, `sockaddr_in6` or `sockaddr_un`; its length.
pub(super) fn write(address: &SocketAddress, storage: &mut [u8; STORAGE]) -> usize {
    match address {
        SocketAddress::Inet(SocketAddr::V4(v4)) => {
            put(storage, 0, &(libc::AF_INET as u16).to_ne_bytes());
            put(storage, 2, &v4.port().to_be_bytes());
            put(storage, 4, &v4.ip().octets());
            size_of::<libc::sockaddr_in>()
        }
        SocketAddress::Inet(SocketAddr::V6(v6)) => {
            put(storage, 0, &(libc::AF_INET6 as u16).to_ne_bytes());
            put(storage, 2, &v6.port().to_be_bytes());
            put(storage, 4, &v6.flowinfo().to_ne_bytes());
            put(storage, 8, &v6.ip().octets());
            put(storage, 24, &v6.scope_id().to_ne_bytes());
            size_of::<libc::sockaddr_in6>()
        }
        SocketAddress::Unix(unix) => {
            put(storage, 0, &(libc::AF_UNIX as u16).to_ne_bytes());
            let (start, name) = match (unix.as_path(), unix.as_abstract()) {
                (Some(path), _) => (2, path.as_os_str().as_bytes()),
                (None, name) => (3, name.unwrap_or_default()),
            };
            storage[2] = 0;
            put(storage, start, name);
            // A path ends with a NUL, an abstract name with its length.
            let end = start + name.len();
            storage[end] = 0;
            if start == 2 { end + 1 } else { end }
        }
        SocketAddress::Vsock(vsock) => {
            let length = size_of::<libc::sockaddr_vm>();
            storage[..length].fill(0);
            put(storage, 0, &(libc::AF_VSOCK as u16).to_ne_bytes());
            put(storage, 4, &vsock.port.to_ne_bytes());
            put(storage, 8, &vsock.cid.to_ne_bytes());
            length
        }
    }
}

/// Reads an address that the kernel wrote; `None` where it has no name.
pub(super) fn read(bytes: &[u8]) -> Option<SocketAddress> {
    let length = bytes.len();
    let family = u16::from_ne_bytes(*bytes.first_chunk()?);
    match libc::c_int::from(family) {
        libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
            let ip = Ipv4Addr::from(field::<4>(bytes, 4));
            Some(SocketAddress::Inet(
                SocketAddrV4::new(ip, port(bytes)).into(),
            ))
        }
        libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
            let ip = Ipv6Addr::from(field::<16>(bytes, 8));
            let flow = u32::from_ne_bytes(field(bytes, 4));
            let scope = u32::from_ne_bytes(field(bytes, 24));
            Some(SocketAddress::Inet(
                SocketAddrV6::new(ip, port(bytes), flow, scope).into(),
            ))
        }
        libc::AF_UNIX if length > 2 => {
            let name = &bytes[2..length.min(2 + 108)];
            let unix = match name {
                [0, rest @ ..] => UnixAddress::from_kernel_abstract(rest),
                path => UnixAddress::from_kernel_path(until_nul(path)),
            };
            Some(SocketAddress::Unix(unix))
        }
        libc::AF_VSOCK if length >= size_of::<libc::sockaddr_vm>() => {
            let port = u32::from_ne_bytes(field(bytes, 4));
            let cid = u32::from_ne_bytes(field(bytes, 8));
            Some(SocketAddress::Vsock(VsockAddress { cid, port }))
        }
        _ => None,
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}

fn put(storage: &mut [u8; STORAGE], at: usize, bytes: &[u8]) {
    storage[at..at + bytes.len()].copy_from_slice(bytes);
}

fn port(bytes: &[u8]) -> u16 {
    u16::from_be_bytes(field(bytes, 2))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_the_kernels_form() {
        let long = "x".repeat(107);
        for address in [
            SocketAddress::Inet("127.0.0.1:80".parse().unwrap()),
            SocketAddress::Inet("[fe80::1%7]:65535".parse().unwrap()),
            SocketAddress::Unix(UnixAddress::from_path("/run/a.sock").unwrap()),
            SocketAddress::Unix(UnixAddress::from_path(&long).unwrap()),
            SocketAddress::Unix(UnixAddress::from_abstract(long.as_bytes()).unwrap()),
            SocketAddress::Unix(UnixAddress::from_abstract(b"a\0b").unwrap()),
            SocketAddress::Vsock(VsockAddress { cid: 3, port: 9 }),
        ] {
            let mut storage = [0xff; STORAGE];
            let length = write(&address, &mut storage);
            assert_eq!(read(&storage[..length]), Some(address));
        }
    }

    #[test]
    fn an_unnamed_peer_has_no_address() {
        let mut storage = [0; STORAGE];
        put(&mut storage, 0, &(libc::AF_UNIX as u16).to_ne_bytes());
        assert_eq!(read(&storage[..2]), None);
        assert_eq!(read(&storage[..0]), None);
    }
}

//! Version 2: binary, section 2.2.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;

use super::{Fault, LONGEST, Parsed, ProxyHeader, ProxyVersion, tlv};
use crate::address::{SocketAddress, UnixAddress};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, version and command, family and protocol, and the length of the rest.
const FIXED: usize = 16;

/// Bytes of a unix address: `sun_path`.
const UNIX: usize = 108;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

/// The protocol, in the lower half of its byte.
const STREAM: u8 = 1;
const DATAGRAM: u8 = 2;

/// Reads what begins as a header does.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED) else {
        return Ok(None);
    };
    let (command, family) = (fixed[12], fixed[13]);
    if !matches!(command, LOCAL | PROXY) {
        return Err(Fault("its version and command are unknown"));
    }
    let (kind, protocol) = (family >> 4, family & 0xf);
    if kind > 3 || protocol > DATAGRAM {
        return Err(Fault("its family or protocol is unknown"));
    }
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if FIXED + length > LONGEST {
        return Err(Fault("it is longer than 4096 bytes"));
    }
    let Some(rest) = rest.get(..length) else {
        return Ok(None);
    };
    let whole = &bytes[..FIXED + length];
    let mut header = ProxyHeader::new(ProxyVersion::V2, None, None);
    header.is_datagram = protocol == DATAGRAM;
    if command == LOCAL {
        // "the receiver must discard the protocol block including the family".
        header.is_local = true;
        header.is_datagram = false;
        return Ok(Some((header, whole.len())));
    }
    let extensions = match kind {
        1 => inet::<4>(&mut header, rest)?,
        2 => inet::<16>(&mut header, rest)?,
        3 => unix(&mut header, rest)?,
        // What is said of an unspecified family is to be ignored if it is not understood.
        _ if tlv::parse(rest).is_err() => &[],
        _ => rest,
    };
    header.extensions = tlv::parse(extensions)?;
    tlv::check_sum(whole, extensions.len())?;
    Ok(Some((header, whole.len())))
}

const SHORT: Fault = Fault("it is too short for its addresses");

/// Two addresses of `N` bytes and two ports; what follows.
fn inet<'a, const N: usize>(header: &mut ProxyHeader, rest: &'a [u8]) -> Result<&'a [u8], Fault>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = rest.split_first_chunk::<N>().ok_or(SHORT)?;
    let (destination, rest) = rest.split_first_chunk::<N>().ok_or(SHORT)?;
    let (ports, rest) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
    let end = |ip: [u8; N], port| SocketAddress::from(SocketAddr::new(ip.into(), port));
    let [from_high, from_low, to_high, to_low] = *ports;
    let (from, to) = ([from_high, from_low], [to_high, to_low]);
    header.source = Some(end(*source, u16::from_be_bytes(from)));
    header.destination = Some(end(*destination, u16::from_be_bytes(to)));
    Ok(rest)
}

fn unix<'a>(header: &mut ProxyHeader, rest: &'a [u8]) -> Result<&'a [u8], Fault> {
    let (source, rest) = rest.split_first_chunk::<UNIX>().ok_or(SHORT)?;
    let (destination, rest) = rest.split_first_chunk::<UNIX>().ok_or(SHORT)?;
    header.source = unix_address(source)?;
    header.destination = unix_address(destination)?;
    Ok(rest)
}

/// The address in `sun_path`, padded with NUL bytes; `None` where it is nothing else.
fn unix_address(path: &[u8; UNIX]) -> Result<Option<SocketAddress>, Fault> {
    let length = UNIX - path.iter().rev().take_while(|byte| **byte == 0).count();
    let address = match &path[..length] {
        [] => return Ok(None),
        [0, name @ ..] => UnixAddress::from_abstract(name),
        path => UnixAddress::from_path(OsStr::from_bytes(path)),
    };
    let address = address.map_err(|_| Fault("a path in it has a NUL byte or no end"))?;
    Ok(Some(address.into()))
}

/// The header's bytes.
pub(super) fn write(header: &ProxyHeader) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.push(if header.is_local { LOCAL } else { PROXY });
    let protocol = if header.is_datagram { DATAGRAM } else { STREAM };
    let (family, addresses) = if header.is_local {
        (0, Vec::new())
    } else {
        addresses(header).map_or_else(
            || (0, Vec::new()),
            |(kind, addresses)| (kind << 4 | protocol, addresses),
        )
    };
    bytes.push(family);
    let extensions = tlv::write(&header.extensions);
    let length = addresses.len() + extensions.len();
    // What is longer is refused before it is sent.
    bytes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(addresses);
    bytes.extend(extensions);
    bytes
}

/// The number of the family, and both addresses as it writes them.
fn addresses(header: &ProxyHeader) -> Option<(u8, Vec<u8>)> {
    if let Some((source, destination)) = same_family(header) {
        let mut bytes = Vec::with_capacity(36);
        for end in [source, destination] {
            match end.ip() {
                IpAddr::V4(ip) => bytes.extend(ip.octets()),
                IpAddr::V6(ip) => bytes.extend(ip.octets()),
            }
        }
        bytes.extend(source.port().to_be_bytes());
        bytes.extend(destination.port().to_be_bytes());
        return Some((if source.is_ipv4() { 1 } else { 2 }, bytes));
    }
    let source = sun_path(header.source.as_ref())?;
    let destination = sun_path(header.destination.as_ref())?;
    let is_named = header.source.is_some() || header.destination.is_some();
    is_named.then(|| (3, [source, destination].concat()))
}

/// Both ends, if both are of IP: as addresses of one family.
pub(super) fn same_family(header: &ProxyHeader) -> Option<(SocketAddr, SocketAddr)> {
    let (Some(SocketAddress::Inet(source)), Some(SocketAddress::Inet(destination))) =
        (&header.source, &header.destination)
    else {
        return None;
    };
    if source.is_ipv4() == destination.is_ipv4() {
        return Some((*source, *destination));
    }
    Some((mapped(*source), mapped(*destination)))
}

fn mapped(address: SocketAddr) -> SocketAddr {
    let ip: Ipv6Addr = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    SocketAddr::new(ip.into(), address.port())
}

/// `sun_path` of a unix address, or of none; `None` for an address of another kind.
fn sun_path(address: Option<&SocketAddress>) -> Option<[u8; UNIX]> {
    let mut path = [0; UNIX];
    match address {
        None => {}
        Some(SocketAddress::Unix(unix)) => {
            let (at, name) = match (unix.as_path(), unix.as_abstract()) {
                (Some(path), _) => (0, path.as_os_str().as_bytes()),
                (None, name) => (1, name.unwrap_or_default()),
            };
            path.get_mut(at..at + name.len())?.copy_from_slice(name);
        }
        Some(SocketAddress::Inet(_) | SocketAddress::Vsock(_)) => return None,
    }
    Some(path)
}

//! Version 1: a line of text, section 2.1.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::v2::same_family;
use super::{Fault, Parsed, ProxyHeader, ProxyVersion};
use crate::address::SocketAddress;

pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// Section 2.1: the longest line, with its end.
const LONGEST: usize = 107;

/// Reads a line that begins as a header does.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let within = &bytes[..bytes.len().min(LONGEST)];
    let Some(end) = within.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return incomplete(within.len(), "its line is longer than 107 bytes");
    };
    match within[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] => return incomplete(within.len(), "its line is longer than 107 bytes"),
        _ => return Err(Fault("its line does not end with CR LF")),
    }
    let line = std::str::from_utf8(&within[SIGNATURE.len().min(end)..end])
        .map_err(|_| Fault("its line is no text"))?;
    let (source, destination) = addresses(line)?;
    let header = ProxyHeader::new(ProxyVersion::V1, source, destination);
    Ok(Some((header, end + 2)))
}

fn incomplete(length: usize, too_long: &'static str) -> Parsed {
    if length == LONGEST {
        Err(Fault(too_long))
    } else {
        Ok(None)
    }
}

type Ends = (Option<SocketAddress>, Option<SocketAddress>);

fn addresses(line: &str) -> Result<Ends, Fault> {
    let mut words = line.split(' ');
    let is_v4 = match words.next() {
        Some("TCP4") => true,
        Some("TCP6") => false,
        // Whatever follows is to be ignored.
        Some("UNKNOWN") => return Ok((None, None)),
        _ => return Err(Fault("its protocol is none of TCP4, TCP6 and UNKNOWN")),
    };
    let mut next = || words.next().ok_or(Fault("it lacks an address or a port"));
    let (source, destination) = (ip(next()?, is_v4)?, ip(next()?, is_v4)?);
    let (from, to) = (port(next()?)?, port(next()?)?);
    if words.next().is_some() {
        return Err(Fault("something follows its last port"));
    }
    let end = |ip, port| Some(SocketAddress::from(SocketAddr::new(ip, port)));
    Ok((end(source, from), end(destination, to)))
}

fn ip(text: &str, is_v4: bool) -> Result<IpAddr, Fault> {
    let ip = if is_v4 {
        text.parse::<Ipv4Addr>().map(IpAddr::V4).ok()
    } else {
        text.parse::<Ipv6Addr>().map(IpAddr::V6).ok()
    };
    ip.ok_or(Fault("an address is none of its protocol"))
}

fn port(text: &str) -> Result<u16, Fault> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let port = text.parse().ok().filter(|_| is_plain);
    port.ok_or(Fault("a port is no number from 0 to 65535"))
}

/// The line for the header; what it can't say is `UNKNOWN`.
pub(super) fn write(header: &ProxyHeader) -> Vec<u8> {
    let mut line = String::with_capacity(LONGEST);
    match same_family(header) {
        Some((source, destination)) if !header.is_datagram && !header.is_local => {
            let protocol = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (source.port(), destination.port());
            // Writing to a string can't fail.
            _ = write!(
                line,
                "PROXY {protocol} {} {} {from} {to}\r\n",
                source.ip(),
                destination.ip()
            );
        }
        _ => line.push_str("PROXY UNKNOWN\r\n"),
    }
    line.into_bytes()
}

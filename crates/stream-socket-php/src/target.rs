//! `host:port` as PHP splits it, but with a port that is one.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use stream_socket::{
    ConnectOptions, Error, Host, Lookup, Port, SocketAddress, SocketUrl, Target, Transport, php,
    resolve,
};

use crate::failure::Failure;

/// A target taken apart.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) host: &'a [u8],
    pub(crate) port: u16,
}

/// Splits a target.
///
/// What follows the port is ignored as in PHP: pools of persistent connections are told apart by
/// it. A port that PHP would cut to 16 bits or make up is refused.
pub(crate) fn parse(target: &[u8]) -> Result<Parts<'_>, Failure> {
    let parsed = php::inet_target(target)
        .map_err(|error| Failure::of_words(String::from_utf8_lossy(&error.message())))?;
    let port = &parsed.port;
    if !port.is_in_range() || !port.is_plain() {
        let shown = String::from_utf8_lossy(target);
        return Err(Failure::of_words(format!(
            "Failed to parse address \"{shown}\": the port is no number from 0 to 65535"
        )));
    }
    Ok(Parts {
        host: parsed.host,
        port: port.number,
    })
}

/// The URL of what is no address of IP. As all of PHP's, it has no options.
pub(crate) fn url_of(transport: Transport, target: &[u8]) -> Result<SocketUrl, Failure> {
    let text = String::from_utf8_lossy(target);
    let url = format!("{transport}://{text}").parse::<SocketUrl>()?;
    if text.contains('?') {
        return Err(Failure::of_words(
            "options are the context's, not the address's",
        ));
    }
    Ok(url)
}

/// What a name comes to.
#[derive(Debug)]
pub(crate) enum Found {
    /// Its addresses, best first.
    Addresses(Vec<IpAddr>),
    /// It has none: what getaddrinfo(3) returned.
    Unknown(i32),
    /// PHP's own resolver is to be asked: it is an address, or can't be looked up otherwise.
    Unasked,
}

impl Found {
    pub(crate) fn of(found: Result<Vec<SocketAddress>, Error>) -> Result<Self, Failure> {
        match found {
            Ok(found) => {
                let addresses = found.iter().filter_map(SocketAddress::ip);
                Ok(Found::Addresses(addresses.collect()))
            }
            Err(error) if error.is_timeout() => Err(error.into()),
            Err(error) => Ok(error.resolver_code().map_or(Found::Unasked, Found::Unknown)),
        }
    }
}

/// Looks a name up: what it comes to, and what is left of the time.
pub(crate) fn look_up(host: &[u8], timeout: Duration) -> Result<(Found, Duration), Failure> {
    // Without time PHP looks names up all the same, and connects to what answers at once.
    let Some(url) = name(host).filter(|_| !timeout.is_zero()) else {
        return Ok((Found::Unasked, timeout));
    };
    let began = Instant::now();
    let found = resolve(&url, &ConnectOptions::default(), Some(timeout));
    Ok((Found::of(found)?, timeout.saturating_sub(began.elapsed())))
}

/// Looks it up beside; `None` where PHP's own resolver is to be asked.
pub(crate) fn look_up_beside(host: &[u8]) -> Option<Lookup> {
    Lookup::start(&name(host)?, &ConnectOptions::default()).ok()
}

/// A URL of what may be a name of the DNS or of the hosts file, and is no address however that is
/// written. Of a name that can't be one PHP's own resolver tells.
fn name(host: &[u8]) -> Option<SocketUrl> {
    let host = Host::Name(std::str::from_utf8(host).ok()?.to_owned());
    let port = Port::Number(0);
    SocketUrl::new(Transport::Tcp, Target::Inet { host, port }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_names() {
        for host in [
            "localhost",
            "a.example",
            "a_b-c.example.",
            "3com.example",
            "1.2.3.x",
        ] {
            assert!(name(host.as_bytes()).is_some(), "{host}");
        }
        for host in [
            "",
            "0",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "127.0x1",
            "::1",
            "a b",
            "a?b",
            "user@host",
            "*",
            "\u{e9}",
        ] {
            assert!(name(host.as_bytes()).is_none(), "{host}");
        }
    }
}

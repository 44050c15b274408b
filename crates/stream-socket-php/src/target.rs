//! `host:port` as PHP splits it, but with a port that is one.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use stream_socket::{ConnectOptions, SocketUrl, Transport, php, resolve};

use crate::failure::Failure;

/// A target taken apart.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) host: &'a [u8],
    pub(crate) port: u16,
}

/// Splits a target.
///
/// What follows the port is ignored as in PHP: pools of persistent connections are told apart by
/// it. A port that PHP would cut to 16 bits or make up is refused.
pub(crate) fn parse(target: &[u8]) -> Result<Target<'_>, Failure> {
    let parsed = php::inet_target(target)
        .map_err(|error| Failure::of_words(String::from_utf8_lossy(&error.message())))?;
    let port = &parsed.port;
    if !port.is_in_range() || !port.is_plain() {
        let shown = String::from_utf8_lossy(target);
        return Err(Failure::of_words(format!(
            "Failed to parse address \"{shown}\": the port is no number from 0 to 65535"
        )));
    }
    Ok(Target {
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

/// The addresses of a name, best first, and what is left of the time.
///
/// `None` for what is no name, or none of which this resolver knows: PHP's own is to be asked,
/// which tells of it in PHP's words.
pub(crate) fn addresses(
    host: &[u8],
    timeout: Duration,
) -> Result<Option<(Vec<IpAddr>, Duration)>, Failure> {
    // Without time PHP looks names up all the same, and connects to what answers at once.
    let Some(host) = name(host).filter(|_| !timeout.is_zero()) else {
        return Ok(None);
    };
    let began = Instant::now();
    // PHP's own words also for what can't be a name, as one with a part of over 63 bytes.
    let Ok(url) = format!("tcp://{host}:0").parse::<SocketUrl>() else {
        return Ok(None);
    };
    match resolve(&url, &ConnectOptions::default(), Some(timeout)) {
        Ok(found) => {
            let found = found.iter().filter_map(|address| address.ip()).collect();
            Ok(Some((found, timeout.saturating_sub(began.elapsed()))))
        }
        Err(error) if error.is_timeout() => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// What may be a name of the DNS or of the hosts file, and no address however it is written.
fn name(host: &[u8]) -> Option<&str> {
    let host = std::str::from_utf8(host).ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let starts = host.starts_with(|first: char| first.is_ascii_alphabetic());
    (starts && host.bytes().all(is_plain)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_names() {
        for host in ["localhost", "a.example", "a_b-c.example."] {
            assert_eq!(name(host.as_bytes()), Some(host));
        }
        for host in [
            "",
            "0",
            "127.1",
            "0x7f.1",
            "::1",
            "a b",
            "a?b",
            "user@host",
            "*",
            "\u{e9}",
        ] {
            assert_eq!(name(host.as_bytes()), None, "{host}");
        }
    }
}

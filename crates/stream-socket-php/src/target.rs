//! `host:port` as PHP splits it, but with a port that is one.

use stream_socket::php;

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

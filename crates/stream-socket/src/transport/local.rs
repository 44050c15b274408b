//! The address that a connect comes from: the option `bind`.

use std::net::{IpAddr, SocketAddr};

use super::endpoint::Endpoint;
use crate::address::{SocketAddress, UnixAddress};
use crate::error::{Error, Result, Stage};
use crate::url::{SocketUrl, Transport};

/// What the `bind` option names.
pub(super) fn local_endpoint(url: &SocketUrl, bind: Option<&str>) -> Result<Option<Endpoint>> {
    let fail = |reason: &str| {
        let bind = bind.unwrap_or_default();
        Error::new(
            Stage::Parse,
            url,
            format!("option bind is {bind:?}, but takes {reason}"),
        )
    };
    match (url.transport(), bind) {
        // Without a name of its own a datagram client could get no answer.
        (Transport::Udg, None) => Ok(Some(Endpoint::Autobind)),
        (_, None) => Ok(None),
        (transport, Some("@")) if transport.is_unix() => Ok(Some(Endpoint::Autobind)),
        (transport, Some(name)) if transport.is_unix() => {
            let unix = match name.strip_prefix('@') {
                Some(name) => UnixAddress::from_abstract(name.as_bytes()),
                None => UnixAddress::from_path(name),
            };
            unix.map(|unix| Some(Endpoint::Address(unix.into())))
                .map_err(|_| fail("a path or @name"))
        }
        (transport, Some(_)) if transport.carrier() == Transport::Vsock => {
            let reason = "option bind applies to addresses of IP and unix";
            Err(Error::new(Stage::Parse, url, reason))
        }
        (_, Some(address)) => inet(address)
            .map(|inet| Some(Endpoint::Address(SocketAddress::Inet(inet))))
            .ok_or_else(|| fail("an IP address, or one with a port, as in [::1]:0")),
    }
}

fn inet(text: &str) -> Option<SocketAddr> {
    let with_any_port = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0));
    text.parse().ok().or_else(with_any_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses() {
        let tcp: SocketUrl = "tcp://h:1".parse().unwrap();
        for (bind, ok) in [
            ("127.0.0.1", true),
            ("127.0.0.1:5", true),
            ("[::1]:0", true),
            ("::1", true),
            ("x", false),
        ] {
            assert_eq!(local_endpoint(&tcp, Some(bind)).is_ok(), ok, "{bind}");
        }
        let udg: SocketUrl = "udg:///a".parse().unwrap();
        assert_eq!(
            local_endpoint(&udg, None).unwrap(),
            Some(Endpoint::Autobind)
        );
        assert!(local_endpoint(&udg, Some("@me")).is_ok());
    }
}

//! Whose headers of the PROXY protocol are believed.
//!
//! Floor 5, beneath listeners and peers.

use std::net::IpAddr;
use std::time::Duration;

use crate::network::Network;
use crate::options::ListenOptions;
use crate::proxy_protocol::{self, ProxyHeader, ProxyReading, ProxyVersion};

/// How long the header of a proxy may take: it is the first that it says.
const PROXY_TIMEOUT: Duration = Duration::from_secs(5);

/// Whose word is taken, and how long it may take: what a listener asks of proxies.
#[derive(Debug)]
pub(crate) struct Trust {
    networks: Vec<Network>,
    pub(crate) timeout: Duration,
}

impl Trust {
    /// What the options say, where they ask for headers.
    pub(crate) fn of(options: &ListenOptions) -> Option<Self> {
        let is_required = options.proxy_protocol == Some(ProxyReading::Required);
        let networks = options.proxy_from.iter();
        // What can't be read has been refused before.
        let networks = networks.filter_map(|text| Network::parse(text).ok());
        is_required.then(|| Self {
            networks: networks.collect(),
            timeout: options.proxy_timeout.unwrap_or(PROXY_TIMEOUT),
        })
    }

    /// A datagram of a proxy, without the header that it begins with, and that; `None` where it is
    /// missing or not to be believed.
    pub(crate) fn unwrap<'a>(
        &self,
        proxy: Option<IpAddr>,
        datagram: &'a [u8],
    ) -> Option<(ProxyHeader, &'a [u8])> {
        if !self.includes(proxy) {
            return None;
        }
        let (header, length) = proxy_protocol::read(datagram).ok()??;
        // Version 1 is made for streams.
        (header.version == ProxyVersion::V2).then(|| (header, &datagram[length..]))
    }

    /// Whether that of a peer is taken; over unix the mode of the file has said so.
    pub(crate) fn includes(&self, ip: Option<IpAddr>) -> bool {
        ip.is_none_or(|ip| self.networks.iter().any(|network| network.contains(ip)))
    }
}

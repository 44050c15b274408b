//! Peers that are servers themselves: two of them would answer each other for ever
//! (CERT CA-1996-01), and a forged sender is all it takes to begin.

use std::net::IpAddr;

use stream_socket::SocketAddress;

/// The ports of the services that answer whatever comes: echo, discard, daytime, qotd, chargen,
/// time.
const SERVICE_PORTS: [u16; 6] = [7, 9, 13, 17, 19, 37];

/// Those that are known.
#[derive(Clone, Debug)]
pub(super) struct Servers {
    /// The addresses of our own sockets of datagrams.
    own: Vec<SocketAddress>,
}

impl Servers {
    /// Those at service ports and those at `own`, the addresses of our sockets.
    pub(super) fn new(own: Vec<SocketAddress>) -> Self {
        Self { own }
    }

    /// Whether a peer that wrote to our address `asked` is one of them.
    pub(super) fn include(&self, peer: &SocketAddress, asked: Option<IpAddr>) -> bool {
        let Some(port) = peer.port() else {
            return self.own.contains(peer);
        };
        let asked = asked.map(|ip| ip.to_canonical());
        let is_here = peer.ip().map(|ip| ip.to_canonical()) == asked;
        let is_ours = || self.own.iter().any(|own| own.port() == Some(port));
        SERVICE_PORTS.contains(&port) || (is_here && is_ours())
    }
}

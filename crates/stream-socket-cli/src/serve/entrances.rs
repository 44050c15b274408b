//! Where clients come in: everything that is bound.

use std::sync::Arc;

use stream_socket::{DatagramSocket, ListenOptions, Listener, SocketAddress, SocketUrl};

use crate::failure::Failure;
use crate::options;

/// Everything that is bound.
pub(crate) struct Entrances {
    /// Each with the options that its connections have.
    pub(super) listeners: Vec<(Arc<Listener>, ListenOptions)>,
    pub(super) sockets: Vec<DatagramSocket>,
}

impl Entrances {
    /// Binds every address of every URL, all or none.
    pub(crate) fn bind(urls: &[SocketUrl], options: &[ListenOptions]) -> Result<Self, Failure> {
        let mut bound = Self {
            listeners: Vec::new(),
            sockets: Vec::new(),
        };
        for (url, options) in urls.iter().zip(options) {
            if url.transport().is_datagram() {
                let mut options = options.clone();
                options.coalesce = true;
                bound
                    .sockets
                    .extend(DatagramSocket::bind_all(url, &options)?);
                continue;
            }
            let merged = options::merged_listening(url, options)?;
            for listener in Listener::bind_all(url, options)? {
                bound.listeners.push((Arc::new(listener), merged.clone()));
            }
        }
        Ok(bound)
    }

    /// The URL of each socket, by which clients reach it.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &SocketUrl> {
        let listeners = self.listeners.iter().map(|(listener, _)| listener.url());
        listeners.chain(self.sockets.iter().map(DatagramSocket::url))
    }

    /// The addresses of the sockets of datagrams: what comes from there is an answer.
    pub(super) fn addresses(&self) -> Vec<SocketAddress> {
        let addresses = self.sockets.iter().map(DatagramSocket::local_addr);
        addresses.cloned().collect()
    }
}

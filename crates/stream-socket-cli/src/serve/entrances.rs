//! Where clients come in: everything that is bound.

use std::sync::Arc;

use stream_socket::{DatagramSocket, ListenOptions, Listener, SocketAddress, SocketUrl};

use crate::failure::Failure;
use crate::options;

/// Everything that is bound.
#[derive(Default)]
pub(crate) struct Entrances {
    /// Each with the options that its connections have.
    pub(super) listeners: Vec<(Arc<Listener>, ListenOptions)>,
    pub(super) sockets: Vec<DatagramSocket>,
    urls: Vec<SocketUrl>,
}

impl Entrances {
    /// Binds every address of every URL, all or none.
    pub(crate) fn bind(urls: &[SocketUrl], options: &[ListenOptions]) -> Result<Self, Failure> {
        let mut bound = Self::default();
        for (url, options) in urls.iter().zip(options) {
            if url.transport().is_datagram() {
                bound.bind_sockets(url, options.clone())?;
            } else {
                bound.bind_listeners(url, options)?;
            }
        }
        Ok(bound)
    }

    fn bind_sockets(&mut self, url: &SocketUrl, mut options: ListenOptions) -> Result<(), Failure> {
        options.coalesce = true;
        for socket in DatagramSocket::bind_all(url, &options)? {
            self.urls.push(socket.url().clone());
            self.sockets.push(socket);
        }
        Ok(())
    }

    fn bind_listeners(&mut self, url: &SocketUrl, options: &ListenOptions) -> Result<(), Failure> {
        let listeners = Listener::bind_all(url, options)?;
        let merged = options::merged_listening(url, options)?;
        for listener in listeners {
            self.urls.push(listener.url().clone());
            self.listeners.push((Arc::new(listener), merged.clone()));
        }
        Ok(())
    }

    /// The URL of each socket, by which clients reach it, in the order in which they were given.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &SocketUrl> {
        self.urls.iter()
    }

    /// The addresses of the sockets of datagrams: what comes from there is an answer.
    pub(super) fn addresses(&self) -> Vec<SocketAddress> {
        let addresses = self.sockets.iter().map(DatagramSocket::local_addr);
        addresses.cloned().collect()
    }
}

//! Where clients come in: everything that is bound.

use std::sync::Arc;

use stream_socket::{DatagramSocket, ListenOptions, Listener, SocketAddress, SocketUrl};

use super::Answerer;
use crate::failure::Failure;
use crate::options;
use crate::place::Place;

/// Everything that is bound.
#[derive(Default)]
pub(crate) struct Entrances {
    /// Each with the options that its connections have.
    pub(super) listeners: Vec<(Arc<Listener>, ListenOptions)>,
    /// The same for programs that answer datagrams.
    pub(super) peers: Vec<(Arc<Listener>, ListenOptions)>,
    pub(super) sockets: Vec<DatagramSocket>,
    /// Each with the fingerprint of its certificate, if it has one.
    urls: Vec<(SocketUrl, Option<String>)>,
}

impl Entrances {
    /// Binds every address of every place, all or none.
    pub(crate) fn bind(
        places: Vec<Place>,
        options: &[ListenOptions],
        answerer: &Answerer,
    ) -> Result<Self, Failure> {
        let mut bound = Self::default();
        for (place, options) in places.into_iter().zip(options) {
            match (place.url().transport().is_datagram(), answerer) {
                (true, Answerer::Service(_)) => bound.bind_sockets(place, options.clone())?,
                (true, Answerer::Program(_)) => {
                    let listeners = bound.bind_listeners(place, options)?;
                    bound.peers.extend(listeners);
                }
                (false, _) => {
                    let listeners = bound.bind_listeners(place, options)?;
                    bound.listeners.extend(listeners);
                }
            }
        }
        Ok(bound)
    }

    fn bind_sockets(&mut self, place: Place, mut options: ListenOptions) -> Result<(), Failure> {
        options.coalesce = true;
        for socket in place.receive(&options)? {
            self.urls.push((socket.url().clone(), None));
            self.sockets.push(socket);
        }
        Ok(())
    }

    fn bind_listeners(
        &mut self,
        place: Place,
        options: &ListenOptions,
    ) -> Result<Vec<(Arc<Listener>, ListenOptions)>, Failure> {
        let merged = options::merged_listening(place.url(), options)?;
        let listeners = place.listen(options)?;
        let urls = listeners
            .iter()
            .map(|listener| (listener.url().clone(), listener.fingerprint()));
        self.urls.extend(urls);
        let shared = listeners.into_iter().map(Arc::new);
        Ok(shared.map(|listener| (listener, merged.clone())).collect())
    }

    /// The URL of each socket, by which clients reach it, in the order in which they were given,
    /// and the fingerprint of its certificate, by which they may know it.
    pub(crate) fn urls(&self) -> impl Iterator<Item = (&SocketUrl, Option<&str>)> {
        let urls = self.urls.iter();
        urls.map(|(url, fingerprint)| (url, fingerprint.as_deref()))
    }

    /// Whether there are certificates that may change.
    pub(crate) fn have_certificates(&self) -> bool {
        self.urls.iter().any(|(url, _)| url.transport().is_tls())
    }

    /// The addresses of the sockets of datagrams: what comes from there is an answer.
    pub(super) fn addresses(&self) -> Vec<SocketAddress> {
        let sockets = self.sockets.iter().map(DatagramSocket::local_addr);
        let peers = self.peers.iter().map(|(listener, _)| listener.local_addr());
        sockets.chain(peers).cloned().collect()
    }
}

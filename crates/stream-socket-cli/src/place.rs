//! Where a command listens: at a URL, or on a socket that is open already.

use stream_socket::{DatagramSocket, Error, Inherited, ListenOptions, Listener, SocketUrl};

/// One of them.
#[derive(Debug)]
pub(crate) enum Place {
    Url(SocketUrl),
    Inherited(Inherited),
}

impl Place {
    /// Those of the URLs: of `fd` and `systemd` the sockets, so that it is known what they are.
    pub(crate) fn all(urls: &[SocketUrl]) -> Result<Vec<Self>, Error> {
        let mut places = Vec::with_capacity(urls.len());
        for url in urls {
            if url.transport().is_inherited() {
                places.extend(Inherited::take(url)?.into_iter().map(Place::Inherited));
            } else {
                places.push(Place::Url(url.clone()));
            }
        }
        Ok(places)
    }

    /// With its options: what is to be bound, or is bound already.
    pub(crate) fn url(&self) -> &SocketUrl {
        match self {
            Place::Url(url) => url,
            Place::Inherited(socket) => socket.url(),
        }
    }

    /// A listener for each of its addresses.
    pub(crate) fn listen(self, options: &ListenOptions) -> Result<Vec<Listener>, Error> {
        match self {
            Place::Url(url) => Listener::bind_all(&url, options),
            Place::Inherited(socket) => Listener::inherit(socket, options).map(|one| vec![one]),
        }
    }

    /// A socket of datagrams for each of its addresses.
    pub(crate) fn receive(self, options: &ListenOptions) -> Result<Vec<DatagramSocket>, Error> {
        match self {
            Place::Url(url) => DatagramSocket::bind_all(&url, options),
            Place::Inherited(socket) => {
                DatagramSocket::inherit(socket, options).map(|one| vec![one])
            }
        }
    }
}

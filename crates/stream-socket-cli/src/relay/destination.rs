//! Where connections are passed on to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stream_socket::{
    ConnectOptions, Error, Listener, ProxyHeader, ProxyTls, ProxyVersion, Route, SocketAddress,
    SocketUrl, Stream, Tlv,
};

use super::directory::Directory;
use crate::failure::Failure;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How long one side may be silent after the other has ended.
    pub(crate) half_closed: Duration,
    /// For how long a target is tried again.
    pub(crate) retry: Duration,
    /// After how long a name is looked up again.
    pub(crate) refresh: Duration,
}

/// The target of all relays.
#[derive(Debug)]
pub(crate) struct Destination {
    route: Route,
    patience: Patience,
    directory: Directory,
    /// How many clients wait for a descriptor.
    short: AtomicUsize,
}

/// A client that has found no descriptor for its way to the target.
pub(super) struct Short(Arc<Destination>);

impl Short {
    pub(super) fn new(destination: &Arc<Destination>) -> Self {
        destination.short.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(destination))
    }
}

impl Drop for Short {
    fn drop(&mut self) {
        self.0.short.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Destination {
    /// A target, whose name is looked up; where that fails, it is only warned of.
    pub(crate) fn new(
        url: &SocketUrl,
        options: &ConnectOptions,
        patience: Patience,
    ) -> Result<Self, Failure> {
        // What can't be meant is told now, not to the first client.
        let route = Route::new(url, options)?;
        let directory = Directory::new(route.clone(), patience.refresh)?;
        Ok(Self {
            route,
            patience,
            directory,
            short: AtomicUsize::new(0),
        })
    }

    /// Whether a connection to the target comes to this listener, as far as its addresses tell.
    pub(crate) fn leads_to(&self, listener: &Listener) -> bool {
        let are_alike = self.url().transport().is_datagram() == listener.transport().is_datagram();
        let (route, bound) = (self.directory.route(), listener.local_addr());
        let addresses = route.as_ref().ok().and_then(Route::addresses);
        are_alike && addresses.is_some_and(|to| to.iter().any(|to| leads_to(to, bound)))
    }

    pub(crate) fn url(&self) -> &SocketUrl {
        self.route.url()
    }

    /// Whether what is connected to is the target, not a proxy on the way.
    pub(super) fn is_direct(&self) -> bool {
        self.route.options().via.is_none()
    }

    /// Whether another client can be relayed. While one waits for a descriptor, newcomers would
    /// take what it waits for.
    pub(super) fn has_room(&self) -> bool {
        self.short.load(Ordering::Relaxed) == 0
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    /// Has the name looked up again.
    pub(super) fn look_again(&self) {
        self.directory.look_again();
    }

    /// The same, and reads the files that the target is met with. What can't be used leaves what
    /// there was.
    pub(super) fn renew(&self) {
        self.look_again();
        let url = self.url();
        if !url.transport().is_tls() {
            return;
        }
        match self.directory.reload() {
            Ok(true) => tracing::info!(%url, "new certificates"),
            Ok(false) => tracing::info!(%url, "the same certificates"),
            Err(error) => tracing::warn!("kept the old certificates: {error}"),
        }
    }

    /// The way there for a client.
    pub(super) fn route_for(&self, client: &Stream) -> Result<Route, Error> {
        let route = self.directory.route()?;
        match route.options().send_proxy {
            None => Ok(route),
            Some(version) => Ok(route.proxied(told_of(client, version)?)),
        }
    }
}

/// Whether who connects to the one address comes to the other.
fn leads_to(to: &SocketAddress, bound: &SocketAddress) -> bool {
    let (SocketAddress::Inet(to), SocketAddress::Inet(bound)) = (to, bound) else {
        return to == bound;
    };
    let (ip, wildcard) = (to.ip(), bound.ip().is_unspecified());
    let is_here = ip.is_loopback() || ip.is_unspecified();
    let is_taken = ip == bound.ip() || (wildcard && is_here && to.is_ipv4() == bound.is_ipv4());
    is_taken && to.port() == bound.port()
}

/// What the target is told of the client: what a proxy before us has said, and what we know.
fn told_of(client: &Stream, version: ProxyVersion) -> Result<ProxyHeader, Error> {
    let mut header = ProxyHeader::new(version, client.peer_addr().cloned(), client.local_addr()?);
    header.is_datagram = client.transport().is_datagram();
    if let Some(before) = client.proxy_header() {
        header.is_local = before.is_local;
        let known = before.extensions.iter();
        // It was made of the header that it stood in.
        header.extensions = known
            .filter(|tlv| tlv.kind != Tlv::CRC32C)
            .cloned()
            .collect();
    }
    if let Some(facts) = client.tls() {
        let mut add = |tlv: Tlv| {
            header.extensions.retain(|known| known.kind != tlv.kind);
            header.extensions.push(tlv);
        };
        let mut tls = ProxyTls::default();
        // As OpenSSL, and so HAProxy, names it: TLSv1.3.
        tls.version = Some(facts.version.to_string().replace(' ', "v"));
        tls.cipher = Some(facts.cipher.openssl_name.to_owned());
        tls.common_name = facts.peer_common_name();
        tls.has_certificate = !facts.peer_certificates.is_empty();
        // Without a good one the handshake would have failed.
        tls.is_verified = tls.has_certificate;
        add(tls.to_extension());
        facts
            .alpn
            .into_iter()
            .for_each(|alpn| add(Tlv::new(Tlv::ALPN, alpn)));
        let name = facts.server_name.into_iter();
        name.for_each(|name| add(Tlv::new(Tlv::AUTHORITY, name)));
    }
    Ok(header)
}

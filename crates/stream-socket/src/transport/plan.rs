//! Where a connect goes, and with what: judged once, however often it is made.

use std::sync::Arc;
use std::time::Duration;

use super::endpoint::{Endpoint, endpoints, look_up, looked_up};
use super::inherited::refuse_connecting;
use super::local::local_endpoint;
use super::prelude;
use super::tls::{ClientContext, PeerName};
use super::via::Via;
use crate::address::SocketAddress;
use crate::deadline::Deadline;
use crate::error::{Error, Result, Stage};
use crate::options::{ConnectOptions, Options};
use crate::sys::lookup::Lookup;
use crate::sys::socket::Family;
use crate::url::SocketUrl;

/// PHP's `default_socket_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// RFC 8305 section 5, "Connection Attempt Delay": the recommended value.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A URL and its options, of which nothing is in doubt any more. What is to be inherited is judged
/// when it is taken, since only then it is known what it is.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    url: Arc<SocketUrl>,
    options: ConnectOptions,
    pub(super) local: Option<Endpoint>,
    /// The proxy that it goes by.
    pub(super) via: Option<Via>,
    /// Where files are not to be looked at for each connect.
    kept: Option<ClientEnd>,
}

/// What a connection is made TLS with, and whose name it looks for.
pub(crate) type ClientEnd = (Arc<ClientContext>, PeerName);

impl Plan {
    pub(crate) fn new(url: SocketUrl, options: &ConnectOptions) -> Result<Self> {
        if url.transport().is_inherited() {
            return Ok(Self::plain(url, options.clone()));
        }
        let options = options.for_url(&url)?;
        let via = prelude::via(&options, &url)?;
        let local = local_endpoint(&url, options.bind.as_deref())?;
        Ok(Self {
            url: Arc::new(url),
            options,
            local,
            via,
            kept: None,
        })
    }

    /// That of a socket which is connected already.
    pub(super) fn connected(url: SocketUrl, options: &ConnectOptions) -> Result<Self> {
        refuse_connecting(&url, options)?;
        let options = options.for_url(&url)?;
        refuse_connecting(&url, &options)?;
        Ok(Self::plain(url, options))
    }

    fn plain(url: SocketUrl, options: ConnectOptions) -> Self {
        Self {
            url: Arc::new(url),
            options,
            local: None,
            via: None,
            kept: None,
        }
    }

    pub(crate) fn url(&self) -> &Arc<SocketUrl> {
        &self.url
    }

    pub(crate) fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// Whether something is said on a connection before it is the caller's.
    pub(super) fn has_prelude(&self) -> bool {
        self.via.is_some() || self.options.send_proxy.is_some()
    }

    /// Whether we are the first to send something on a new connection, whatever the caller does.
    pub(super) fn speaks_first(&self) -> bool {
        self.has_prelude() || self.url.transport().is_tls()
    }

    /// How long all of it may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.options.connect_timeout.unwrap_or(CONNECT_TIMEOUT)
    }

    pub(super) fn attempt_delay(&self) -> Duration {
        self.options.attempt_delay.unwrap_or(ATTEMPT_DELAY)
    }

    /// What a connection is made TLS with: what is kept, or what the files have now.
    pub(crate) fn tls(&self) -> Result<Option<ClientEnd>> {
        match &self.kept {
            Some(kept) => Ok(Some(kept.clone())),
            None => self.look_for_tls(),
        }
    }

    /// The same plan, which keeps what its files have now; whether that is something else.
    pub(crate) fn keeping_tls(&self) -> Result<(Self, bool)> {
        let kept = self.look_for_tls()?;
        let is_new = match (&kept, &self.kept) {
            (Some((new, _)), Some((old, _))) => !Arc::ptr_eq(new, old),
            (new, old) => new.is_some() != old.is_some(),
        };
        let plan = Self {
            kept,
            ..self.clone()
        };
        Ok((plan, is_new))
    }

    fn look_for_tls(&self) -> Result<Option<ClientEnd>> {
        let (url, options) = (&*self.url, &self.options.tls);
        if !url.transport().is_tls() || url.transport().is_inherited() {
            return Ok(None);
        }
        let context = ClientContext::of(url, url.transport(), options)?;
        Ok(Some((context, PeerName::of(url, options)?)))
    }

    /// Every address that is connected to, best first: those of the URL's target, or of the proxy.
    pub(crate) fn resolve(
        &self,
        timeout: Option<Duration>,
        deadline: Deadline,
    ) -> Result<Vec<SocketAddress>> {
        self.addresses(endpoints(self.reached(), timeout, deadline)?)
    }

    /// Begins to look for them beside.
    pub(crate) fn look_up(&self) -> Result<Lookup> {
        look_up(self.reached())
    }

    /// Those that such a lookup has found; `None` while it is under way.
    pub(crate) fn looked_up(&self, lookup: &Lookup) -> Result<Option<Vec<SocketAddress>>> {
        let found = looked_up(self.reached(), lookup)?;
        found.map(|found| self.addresses(found)).transpose()
    }

    fn reached(&self) -> &SocketUrl {
        self.via.as_ref().map_or(&*self.url, Via::url)
    }

    fn addresses(&self, endpoints: Vec<Endpoint>) -> Result<Vec<SocketAddress>> {
        let address = |endpoint| match endpoint {
            Endpoint::Address(address) => Ok(address),
            Endpoint::Autobind => {
                let reason = "@ alone is a name to bind, not one to connect to";
                Err(Error::new(Stage::Parse, &self.url, reason))
            }
        };
        endpoints.into_iter().map(address).collect()
    }
}

/// RFC 8305 section 4: the families by turns, beginning with that of the best address.
pub(crate) fn interleaved(addresses: Vec<SocketAddress>) -> Vec<SocketAddress> {
    let first_family = addresses.first().map(Family::of);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| Some(Family::of(address)) == first_family);
    let mut order = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let before = order.len();
        order.extend(first.next());
        order.extend(second.next());
        if order.len() == before {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<SocketAddress> {
        text.split_whitespace()
            .map(|a| SocketAddress::Inet(a.parse().unwrap()))
            .collect()
    }

    #[test]
    fn families_take_turns_and_none_is_lost() {
        for (given, expected) in [
            ("", ""),
            ("1.1.1.1:1", "1.1.1.1:1"),
            (
                "[::1]:1 [::2]:1 1.1.1.1:1 1.1.1.2:1",
                "[::1]:1 1.1.1.1:1 [::2]:1 1.1.1.2:1",
            ),
            (
                "1.1.1.1:1 [::1]:1 [::2]:1 [::3]:1",
                "1.1.1.1:1 [::1]:1 [::2]:1 [::3]:1",
            ),
            (
                "[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1",
                "[::1]:1 1.1.1.1:1 [::2]:1 [::3]:1",
            ),
        ] {
            assert_eq!(
                interleaved(addresses(given)),
                addresses(expected),
                "{given}"
            );
        }
    }
}

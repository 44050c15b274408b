//! Where a program connects to again and again.

use std::sync::Arc;
use std::time::Duration;

use super::Approach;
use crate::address::SocketAddress;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::options::ConnectOptions;
use crate::proxy_protocol::ProxyHeader;
use crate::transport::{Plan, Race, interleaved};
use crate::url::{SocketUrl, ToSocketUrl};

/// A URL and its options, judged once: for programs that connect often, or that can't wait when
/// they do. Clones share it.
///
/// # Examples
///
/// ```
/// use stream_socket::{ConnectOptions, Connecting, ListenOptions, Listener, Route, resolve};
///
/// let listener = Listener::bind("tcp://127.0.0.1:0", &ListenOptions::default())?;
/// let options = ConnectOptions::default();
/// let addresses = resolve(listener.url(), &options, None)?;
/// let route = Route::new(listener.url(), &options)?.to(addresses);
/// let (mut one, mut other) = (Connecting::on(&route)?, Connecting::on(&route)?);
/// # (one.advance()?, other.advance()?);
/// # Ok::<(), stream_socket::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Route {
    plan: Arc<Plan>,
    addresses: Option<Arc<[SocketAddress]>>,
    proxied: Option<Box<ProxyHeader>>,
}

impl Route {
    /// A route whose name is resolved with every connect. The files that its options name are read
    /// now, and again by [`reload`](Self::reload).
    ///
    /// # Errors
    ///
    /// At [`Stage::Parse`](crate::Stage::Parse) for the URL and its options, at
    /// [`Stage::Socket`](crate::Stage::Socket) for files of TLS that can't be used.
    pub fn new<U: ToSocketUrl + ?Sized>(url: &U, options: &ConnectOptions) -> Result<Self> {
        let plan = Plan::new(url.to_socket_url()?.into_owned(), options)?;
        let (plan, _) = plan.keeping_tls()?;
        Ok(Self {
            plan: Arc::new(plan),
            addresses: None,
            proxied: None,
        })
    }

    /// The same to addresses that [`resolve`] has told before: such a connect never waits.
    #[must_use]
    pub fn to(mut self, addresses: Vec<SocketAddress>) -> Self {
        self.addresses = Some(interleaved(addresses).into());
        self
    }

    /// Reads the files of certificates, keys and authorities again, for the connects to come;
    /// whether they have changed. What can't be used changes nothing.
    ///
    /// # Errors
    ///
    /// At [`Stage::Socket`](crate::Stage::Socket) for a file that can't be used.
    pub fn reload(&mut self) -> Result<bool> {
        let (plan, is_new) = self.plan.keeping_tls()?;
        if is_new {
            self.plan = Arc::new(plan);
        }
        Ok(is_new)
    }

    /// The same, where the header of the PROXY protocol says this in place of
    /// [`proxied`](ConnectOptions::proxied).
    #[must_use]
    pub fn proxied(mut self, header: ProxyHeader) -> Self {
        self.proxied = Some(Box::new(header));
        self
    }

    /// The URL that it leads to.
    pub fn url(&self) -> &SocketUrl {
        self.plan.url()
    }

    /// The options, with those of the URL.
    pub fn options(&self) -> &ConnectOptions {
        self.plan.options()
    }

    /// The addresses that it goes [to](Self::to), if it was told any.
    pub fn addresses(&self) -> Option<&[SocketAddress]> {
        self.addresses.as_deref()
    }

    pub(crate) fn approach(&self) -> Result<Approach> {
        let plan = Arc::clone(&self.plan);
        let race = match &self.addresses {
            Some(addresses) => Race::to(plan, Arc::clone(addresses))?,
            None => Race::new(plan)?,
        };
        Ok(Approach::new(race.proxied(self.proxied.clone())))
    }
}

/// The addresses that a connect with these options goes to, best first, within `timeout`. See
/// [`Route::to`].
///
/// They are those of the URL's target, or of the proxy where the connect goes
/// [`via`](ConnectOptions::via) one.
///
/// # Errors
///
/// At [`Stage::Parse`](crate::Stage::Parse) for the URL, at
/// [`Stage::Resolve`](crate::Stage::Resolve) for its name.
pub fn resolve<U: ToSocketUrl + ?Sized>(
    url: &U,
    options: &ConnectOptions,
    timeout: Option<Duration>,
) -> Result<Vec<SocketAddress>> {
    let plan = Plan::new(url.to_socket_url()?.into_owned(), options)?;
    plan.resolve(timeout, Deadline::after(timeout))
}

//! What is different at a listener whose connections are not there at once: they carry TLS, or
//! begin with the header of a proxy.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use super::Listener;
use crate::address::SocketAddress;
use crate::deadline::Deadline;
use crate::error::{Error, Limit, Result, Stage};
use crate::handshake_log::{HandshakeCounters, HandshakeLog};
use crate::handshakes::Handshakes;
use crate::options::{HandshakeTime, ListenOptions, TlsServerOptions};
use crate::stream::Stream;
use crate::sys::{failed, timed_out};
use crate::transport::tls::ServerContext;
use crate::trust::Trust;
use crate::url::SocketUrl;

/// Keys and certificates, whose headers are believed, and the handshakes under way.
#[derive(Debug)]
pub(super) struct Tls {
    context: RwLock<Option<Arc<ServerContext>>>,
    trust: Option<Trust>,
    handshakes: Handshakes,
    is_lazy: bool,
}

impl Tls {
    /// What the transport and the options ask for.
    pub(super) fn new(
        socket: &OwnedFd,
        url: &SocketUrl,
        options: &ListenOptions,
    ) -> Result<OnceLock<Self>> {
        let transport = url.transport();
        // A datagram comes with its header.
        let trust = Trust::of(options).filter(|_| !transport.is_datagram());
        if !transport.is_tls() && trust.is_none() {
            return Ok(OnceLock::new());
        }
        let context = if transport.is_tls() {
            Some(ServerContext::of(
                url,
                transport,
                Some(url),
                &options.tls,
                None,
            )?)
        } else {
            None
        };
        let is_lazy = options.tls.handshake == Some(HandshakeTime::FirstUse);
        let tls = Self::with(context, trust, socket.as_fd(), url, is_lazy)?;
        Ok(OnceLock::from(tls))
    }

    fn with(
        context: Option<Arc<ServerContext>>,
        trust: Option<Trust>,
        socket: BorrowedFd<'_>,
        url: &SocketUrl,
        is_lazy: bool,
    ) -> Result<Self> {
        let handshakes =
            Handshakes::new(socket).map_err(|errno| failed(Stage::Socket, url, errno))?;
        Ok(Self {
            context: RwLock::new(context),
            trust,
            handshakes,
            is_lazy,
        })
    }

    /// A new connection, with what is still to be done on it. Apart from accept, whose frame it
    /// would make five times as large.
    #[inline(never)]
    pub(super) fn opened(&self, stream: Stream, url: &SocketUrl) -> Result<Stream> {
        let stream = match &self.trust {
            Some(trust) => {
                let ip = stream.peer_addr().and_then(SocketAddress::ip);
                stream.awaiting_header(trust.timeout, trust.includes(ip))
            }
            None => stream,
        };
        match self.context() {
            Some(context) => Ok(stream.secured(context.session(url)?)),
            None => Ok(stream),
        }
    }

    fn context(&self) -> Option<Arc<ServerContext>> {
        let context = self.context.read();
        context.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_context(&self, context: Arc<ServerContext>) {
        let current = self.context.write();
        *current.unwrap_or_else(PoisonError::into_inner) = Some(context);
    }

    /// Puts one in the place of `before`; false if another is there by now.
    fn renew_context(&self, before: &Arc<ServerContext>, context: Arc<ServerContext>) -> bool {
        let mut current = self.context.write().unwrap_or_else(PoisonError::into_inner);
        let is_current = current.as_ref().is_some_and(|it| Arc::ptr_eq(it, before));
        if is_current {
            *current = Some(context);
        }
        is_current
    }

    /// Whether the peer is a proxy, whose address counts for nobody.
    pub(super) fn has_proxies(&self) -> bool {
        self.trust.is_some()
    }
}

impl Listener {
    /// Has the connections that come from now on carry TLS, on a listener over tcp or unix. Where
    /// they do already, it is by these options from now on; only when handshakes are made stays as
    /// it was.
    ///
    /// Certificates and keys are read again if their files have changed, so this is also how a
    /// listener is given new ones.
    ///
    /// # Errors
    ///
    /// At [`Stage::Socket`] for certificates and keys that can't be used, and for a listener of
    /// datagrams. What was before then stays.
    pub fn start_tls(&self, options: &TlsServerOptions) -> Result<()> {
        if self.peers.is_some() {
            let reason = "TLS is for streams of bytes";
            return Err(Error::new(Stage::Socket, self, reason));
        }
        let url = &*self.url;
        let context = ServerContext::of(url, url.transport(), Some(url), options, None)?;
        if let Some(tls) = self.tls.get() {
            tls.set_context(context);
            return Ok(());
        }
        let is_lazy = options.handshake == Some(HandshakeTime::FirstUse);
        let tls = Tls::with(
            Some(Arc::clone(&context)),
            None,
            self.socket(),
            url,
            is_lazy,
        )?;
        // Another thread may have been quicker: the last options are the ones that count.
        self.tls.get_or_init(|| tls).set_context(context);
        Ok(())
    }

    /// Where accept makes the handshakes: those under way.
    pub(super) fn handshakes_in_accept(&self) -> Option<&Handshakes> {
        let tls = self.tls.get().filter(|tls| !tls.is_lazy)?;
        Some(&tls.handshakes)
    }

    /// A connection as accept returns it; `None` where TLS has begun just before it came, and its
    /// handshake is under way.
    #[cold]
    pub(super) fn handed_out(&self, stream: Stream) -> Option<Stream> {
        match self.handshakes_in_accept() {
            Some(handshakes) if stream.is_handshaking() => {
                handshakes.take_in(self, stream);
                None
            }
            _ => Some(stream),
        }
    }

    /// Waits for a connection whose handshake is finished.
    pub(super) fn accept_finished(
        &self,
        handshakes: &Handshakes,
        deadline: Deadline,
        timeout: Option<Duration>,
    ) -> Result<Stream> {
        if let Some(stream) = handshakes.next(self)? {
            return Ok(stream);
        }
        loop {
            handshakes.turn(self, deadline.remaining())?;
            if let Some(stream) = handshakes.next(self)? {
                return Ok(stream);
            }
            if deadline.has_passed() {
                return Err(timed_out(Stage::Accept, self, Limit::Accept, timeout));
            }
        }
    }

    /// Whether there is something to accept, after the descriptor became readable: handshakes go
    /// on as far as they can.
    pub(crate) fn has_arrival(&self) -> bool {
        let Some(handshakes) = self.handshakes_in_accept() else {
            return true;
        };
        // What fails is accept's to tell.
        handshakes.turn(self, Some(Duration::ZERO)).is_err() || handshakes.has_finished(self)
    }

    /// Whether there is something to accept of which the descriptor does not know.
    pub(crate) fn has_finished(&self) -> bool {
        let handshakes = self.handshakes_in_accept();
        handshakes.is_some_and(|handshakes| handshakes.has_finished(self))
    }

    /// The listening socket itself, also where [`as_fd`](AsFd::as_fd) is an epoll descriptor over
    /// it and handshakes under way. Of datagrams it is the same as that.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether connections are handed out before their handshake.
    pub(crate) fn is_lazy(&self) -> bool {
        self.tls.get().is_none_or(|tls| tls.is_lazy)
    }

    pub(crate) fn handshake_log(&self) -> Option<&HandshakeLog> {
        self.tls.get().map(|tls| tls.handshakes.log())
    }

    /// Reads the files of its certificates, keys and authorities again, for the connections that
    /// come from now on; whether something had changed. Those that are there stay as they are, and
    /// sessions can be resumed still, unless clients show certificates.
    ///
    /// It costs a look at each file where nothing has changed, so it may be called on a signal
    /// and by the clock as well. Nothing to do without TLS.
    ///
    /// # Errors
    ///
    /// At [`Stage::Socket`] for what can't be used: the listener then goes on with what it had.
    pub fn reload(&self) -> Result<bool> {
        let Some(tls) = self.tls.get() else {
            return Ok(false);
        };
        let url = &*self.url;
        while let Some(before) = tls.context() {
            let options = before.options();
            let transport = url.transport();
            let context = ServerContext::of(url, transport, Some(url), options, Some(&before))?;
            let has_changed = !Arc::ptr_eq(&before, &context);
            // Where `start_tls` came between, it is its files that count.
            if !has_changed || tls.renew_context(&before, context) {
                return Ok(has_changed);
            }
        }
        Ok(false)
    }

    /// The SHA-256 fingerprint of the certificate that is shown by default, in hexadecimal: what a
    /// client can know the server by, that trusts nobody else. `None` without TLS.
    pub fn fingerprint(&self) -> Option<String> {
        let context = self.tls.get()?.context()?;
        context.fingerprint().map(str::to_owned)
    }

    /// How many TLS handshakes came to what, in this process, and headers of proxies; `None`
    /// without either. Those that are
    /// made at first use are not counted: the stream tells of them.
    pub fn handshakes(&self) -> Option<HandshakeCounters> {
        self.handshake_log().map(HandshakeLog::counters)
    }

    /// The handshakes that failed since the last call, at most the last 256: each error names the
    /// peer and the reason. They don't end accept.
    pub fn take_handshake_failures(&self) -> Vec<Error> {
        let log = self.handshake_log();
        log.map_or_else(Vec::new, HandshakeLog::take_failures)
    }
}

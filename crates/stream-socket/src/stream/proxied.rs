//! A stream whose peer is a proxy, and whose client a header of the PROXY protocol tells of.

use std::os::fd::AsFd;
use std::time::Duration;

use super::Stream;
use crate::address::SocketAddress;
use crate::deadline::Deadline;
use crate::error::{Error, Limit, Result, Stage};
use crate::proxy_protocol::{self, LONGEST, ProxyHeader};
use crate::sys::socket::Take;
use crate::sys::{self, Errno, phrase, timed_out};

/// What is known of the proxy.
#[derive(Debug)]
pub(super) enum Proxied {
    /// Its header has not come as a whole.
    Awaited(Box<Awaited>),
    Told(Box<Told>),
}

#[derive(Debug)]
pub(super) struct Awaited {
    /// Whether its word is taken at all.
    is_trusted: bool,
    timeout: Duration,
    deadline: Deadline,
    received: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Told {
    header: ProxyHeader,
    /// The proxy's own address.
    proxy: Option<SocketAddress>,
}

/// Looking for a header makes do with this much at a time: HAProxy's are shorter.
const LOOK: usize = 1024;

impl Stream {
    /// The same stream, which first has to bring a header.
    pub(crate) fn awaiting_header(mut self, timeout: Duration, is_trusted: bool) -> Self {
        self.rare_mut().proxied = Some(Proxied::Awaited(Box::new(Awaited {
            is_trusted,
            timeout,
            deadline: Deadline::after(Some(timeout)),
            received: Vec::new(),
        })));
        self
    }

    /// The header of the PROXY protocol that the connection began with, where the listener
    /// [asked for one](crate::ListenOptions::proxy_protocol).
    pub fn proxy_header(&self) -> Option<&ProxyHeader> {
        Some(&self.told()?.header)
    }

    /// The address of the proxy by which the connection came, where it began with a header: then
    /// [`peer_addr`](Self::peer_addr) is the client's, and [`local_addr`](Self::local_addr) the
    /// one that the client wrote to, as far as the header tells them.
    pub fn proxy_addr(&self) -> Option<&SocketAddress> {
        self.told()?.proxy.as_ref()
    }

    fn told(&self) -> Option<&Told> {
        match self.rare.as_ref()?.proxied.as_ref()? {
            Proxied::Told(told) => Some(told),
            Proxied::Awaited(_) => None,
        }
    }

    fn awaited(&self) -> Option<&Awaited> {
        match self.rare.as_ref()?.proxied.as_ref()? {
            Proxied::Awaited(awaited) => Some(awaited),
            Proxied::Told(_) => None,
        }
    }

    /// The address that a handshake counts for: none, until a proxy has told its client's.
    pub(crate) fn counts_for(&self) -> Option<&SocketAddress> {
        self.peer.as_ref().filter(|_| !self.awaits_header())
    }

    pub(super) fn awaits_header(&self) -> bool {
        self.awaited().is_some()
    }

    /// Until when the header has to be there, while it is not.
    pub(super) fn header_deadline(&self) -> Option<Deadline> {
        self.awaited().map(|awaited| awaited.deadline)
    }

    /// Goes on with the header without waiting; whether it is there, or none is awaited.
    pub(super) fn receive_header(&mut self) -> Result<bool> {
        let Some(mut awaited) = self.take_awaited() else {
            return Ok(true);
        };
        if !awaited.is_trusted {
            return Err(self.no_header("it is in none of the networks of proxy_from"));
        }
        match awaited.look(self.source.as_fd()) {
            Ok(Some(header)) => self.is_told(header).map(|()| true),
            Ok(None) if awaited.deadline.has_passed() => {
                let timeout = Some(awaited.timeout);
                let error = timed_out(Stage::Proxy, &self, Limit::Proxy, timeout);
                Err(error.with_action("read the PROXY header of"))
            }
            Ok(None) => {
                self.rare_mut().proxied = Some(Proxied::Awaited(awaited));
                Ok(false)
            }
            Err(reason) => Err(self.no_header(&reason)),
        }
    }

    fn take_awaited(&mut self) -> Option<Box<Awaited>> {
        let proxied = &mut self.rare.as_mut()?.proxied;
        match proxied.take() {
            Some(Proxied::Awaited(awaited)) => Some(awaited),
            told => {
                *proxied = told;
                None
            }
        }
    }

    /// A stream of datagrams, the first of which brought a header.
    pub(super) fn of_a_proxy(mut self, header: &ProxyHeader) -> Self {
        self.takes_client(header.clone());
        self
    }

    /// From here on the client is the peer.
    fn takes_client(&mut self, header: ProxyHeader) {
        let proxy = self.peer.clone();
        if !header.is_local && header.source.is_some() {
            self.peer = header.source.clone();
        }
        self.rare_mut().proxied = Some(Proxied::Told(Box::new(Told { header, proxy })));
    }

    fn is_told(&mut self, header: ProxyHeader) -> Result<()> {
        self.takes_client(header);
        let ip = self.peer.as_ref().and_then(SocketAddress::ip);
        let admitted = self.place_mut().is_none_or(|place| place.admit(ip));
        if admitted {
            return Ok(());
        }
        let reason = "its address has as many connections as it may";
        Err(Error::new(Stage::Accept, &*self, reason))
    }

    fn no_header(&self, reason: &str) -> Error {
        Error::new(Stage::Proxy, self, reason).with_action("read the PROXY header of")
    }

    /// The address that the client wrote to, as the header tells it.
    pub(super) fn told_destination(&self) -> Option<&SocketAddress> {
        let header = &self.told()?.header;
        header.destination.as_ref().filter(|_| !header.is_local)
    }
}

impl Awaited {
    /// Receives what belongs to the header, and no byte of what follows, which may be TLS.
    ///
    /// What has come is looked at first. If it is not all of the header, all of it belongs to that
    /// and is taken, so that the descriptor is readable for what is new alone.
    fn look(
        &mut self,
        socket: std::os::fd::BorrowedFd<'_>,
    ) -> std::result::Result<Option<ProxyHeader>, String> {
        loop {
            let start = self.received.len();
            self.received.resize((start + LOOK).min(LONGEST), 0);
            let seen = match sys::socket::receive(socket, &mut self.received[start..], Take::Peek) {
                Ok(0) => return Err("the connection has ended before".to_owned()),
                Ok(length) => length,
                Err(Errno::AGAIN | Errno::INTR) => {
                    self.received.truncate(start);
                    return Ok(None);
                }
                Err(errno) => return Err(phrase(errno)),
            };
            self.received.truncate(start + seen);
            let parsed = proxy_protocol::read(&self.received).map_err(|fault| fault.to_string())?;
            let end = parsed.as_ref().map_or(start + seen, |(_, length)| *length);
            let mut at = start;
            while at < end {
                match sys::socket::receive(socket, &mut self.received[at..end], Take::Consume) {
                    Ok(length @ 1..) => at += length,
                    Err(Errno::INTR) => {}
                    // It was there a moment ago.
                    Ok(_) | Err(_) => return Err("what was received is gone".to_owned()),
                }
            }
            if let Some((header, _)) = parsed {
                return Ok(Some(header));
            }
        }
    }
}

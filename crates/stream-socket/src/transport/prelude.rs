//! What is said on a new connection before it is the caller's: the header of the PROXY protocol.

use std::os::fd::AsFd;

use super::race::Connected;
use crate::error::{Result, Stage};
use crate::options::ConnectOptions;
use crate::proxy_protocol::{ProxyHeader, ProxyVersion};
use crate::sys::wait::Events;
use crate::sys::{self, Errno, failed};
use crate::url::SocketUrl;

/// A connection on which something is said first.
#[derive(Debug)]
pub(super) struct Prelude {
    connected: Connected,
    outgoing: Vec<u8>,
    sent: usize,
}

/// Where a new connection stands.
pub(super) enum Step {
    Done(Connected),
    Wait(Prelude),
}

impl Prelude {
    /// What is to be said on the connection, if anything is.
    pub(super) fn begin(
        connected: Connected,
        options: &ConnectOptions,
        url: &SocketUrl,
    ) -> Result<Step> {
        let Some(version) = options.send_proxy else {
            return Ok(Step::Done(connected));
        };
        let header = header(version, &connected, options, url)?.to_bytes()?;
        if url.transport().is_datagram() {
            let prefix = Some(header.into());
            return Ok(Step::Done(Connected {
                prefix,
                ..connected
            }));
        }
        let prelude = Self {
            connected,
            outgoing: header,
            sent: 0,
        };
        prelude.advance(url)
    }

    /// Goes on as far as it can without waiting.
    pub(super) fn advance(mut self, url: &SocketUrl) -> Result<Step> {
        while self.sent < self.outgoing.len() {
            let rest = &self.outgoing[self.sent..];
            match sys::socket::send(self.connected.socket.as_fd(), rest, false) {
                Ok(length) => self.sent += length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Step::Wait(self)),
                Err(errno) => return Err(failed(Stage::Proxy, url, errno)),
            }
        }
        Ok(Step::Done(self.connected))
    }

    pub(super) fn connected(&self) -> &Connected {
        &self.connected
    }

    /// What it waits for.
    pub(super) fn events(&self) -> Events {
        Events::WRITE
    }
}

/// The header that is sent: what the caller says, or the connection's own two ends.
fn header(
    version: ProxyVersion,
    connected: &Connected,
    options: &ConnectOptions,
    url: &SocketUrl,
) -> Result<ProxyHeader> {
    let mut header = match &options.proxied {
        Some(header) => header.clone(),
        None => {
            let local = sys::socket::local_address(connected.socket.as_fd())
                .map_err(|errno| failed(Stage::Proxy, url, errno))?;
            let mut header = ProxyHeader::new(version, local, Some(connected.peer.clone()));
            header.is_datagram = url.transport().is_datagram();
            header
        }
    };
    header.version = version;
    Ok(header)
}

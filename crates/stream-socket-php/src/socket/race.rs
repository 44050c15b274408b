//! Connecting to all addresses of a name, staggered, where a context asks for it: RFC 8305, "Happy
//! Eyeballs".

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use stream_socket::{ConnectOptions, Connecting, Route, SocketAddress, SocketUrl, Stream};

use super::{Connection, Ip, Object, Socket, TimeVal};
use crate::counters::{self, count};
use crate::failure::{self, Failure};
use crate::options::{Wishes, local_address};

impl Socket {
    /// Connects to the first address that answers, and waits for it.
    pub(super) fn race(
        &mut self,
        addresses: &[SocketAddr],
        timeout: Option<Duration>,
        wishes: &Wishes<'_>,
    ) -> Result<Connection, Failure> {
        let (url, addresses, options) = self.line_up(addresses, timeout, wishes)?;
        let stream = Stream::connect_at(&url, &addresses, &options)?;
        self.connected(stream);
        Ok(Connection::Made)
    }

    /// Begins the same, for who waits otherwise and then goes on by [`race_on`](Self::race_on).
    pub(crate) fn race_begin(
        &mut self,
        ips: &[Ip],
        port: u16,
        timeout: Option<Duration>,
        wishes: &Wishes<'_>,
    ) -> Result<Connection, Failure> {
        let addresses: Vec<SocketAddr> = ips.iter().map(|ip| ip.with_port(port)).collect();
        let (url, addresses, options) = self.line_up(&addresses, timeout, wishes)?;
        let connecting = Connecting::on(&Route::new(&url, &options)?.to(addresses))?;
        self.head.net.socket = connecting.as_fd().as_raw_fd();
        self.object = Object::Connecting(Box::new(connecting));
        self.race_on()
    }

    /// Goes on without waiting.
    pub(crate) fn race_on(&mut self) -> Result<Connection, Failure> {
        let Object::Connecting(connecting) = &mut self.object else {
            return Err(Failure::of_system(failure::NO_SOCKET));
        };
        match connecting.advance() {
            Ok(None) => Ok(Connection::UnderWay),
            Ok(Some(stream)) => {
                self.connected(stream);
                Ok(Connection::Made)
            }
            Err(error) => {
                count(&counters::FAILED);
                self.head.net.socket = -1;
                self.object = Object::Empty;
                Err(error.into())
            }
        }
    }

    /// How long until it is to go on even if its descriptor tells nothing.
    pub(crate) fn race_pause(&self) -> TimeVal {
        let pause = match &self.object {
            Object::Connecting(connecting) => connecting.next_step(),
            _ => None,
        };
        TimeVal::of_span(pause.unwrap_or(Duration::MAX))
    }

    fn line_up(
        &self,
        addresses: &[SocketAddr],
        timeout: Option<Duration>,
        wishes: &Wishes<'_>,
    ) -> Result<(SocketUrl, Vec<SocketAddress>, ConnectOptions), Failure> {
        let first = addresses
            .first()
            .ok_or_else(|| Failure::of_words("the name has no address"))?;
        let mut options = wishes.to_connect(false)?;
        options.connect_timeout = Some(timeout.unwrap_or(Duration::MAX));
        let mut from = None;
        if let Some(bindto) = wishes.bindto {
            let (bound, family) = bound_to(bindto, addresses)?;
            options.bind = Some(bound);
            from = Some(family.is_ipv4());
        }
        let fits = |address: &&SocketAddr| from.is_none_or(|v4| v4 == address.is_ipv4());
        let addresses = addresses.iter().filter(fits).copied();
        let url = SocketUrl::from_address(self.transport(), &SocketAddress::Inet(*first))?;
        Ok((url, addresses.map(SocketAddress::Inet).collect(), options))
    }
}

/// `bindto`, and the family of addresses to which one can connect from there.
fn bound_to(bindto: &[u8], addresses: &[SocketAddr]) -> Result<(String, IpAddr), Failure> {
    let mut last = Failure::of_words("the name has no address");
    for address in addresses {
        match local_address(bindto, address.ip()) {
            Ok(bound) => return Ok((bound, address.ip())),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

//! Opening by a name that is no address of IP: a path, a machine and its port, or a socket that PHP
//! was started with.

use std::time::Duration;

use stream_socket::{Inherited, SocketUrl, Stream, Target, Transport};

use super::{Connection, Socket, TRANSPORTS};
use crate::counters::{self, count};
use crate::failure::{self, Failure};
use crate::listening;
use crate::options::{Wishes, without_tcp};
use crate::target::url_of;

impl Socket {
    pub(crate) fn bind_named(&mut self, name: &[u8], wishes: &Wishes<'_>) -> Result<(), Failure> {
        let bound = match self.transport() {
            transport if transport.is_unix() => listening::bind_unix(transport, name, wishes),
            transport if transport.is_inherited() => self
                .take(transport, name)
                .and_then(|socket| listening::inherit(socket, wishes)),
            transport => listening::bind_url(&url_of(transport, name)?, wishes),
        };
        self.adopt_bound(bound)
    }

    /// Takes a socket that PHP was started with: this one is of its transport from now on.
    fn take(&mut self, transport: Transport, name: &[u8]) -> Result<Inherited, Failure> {
        let socket = Inherited::take_next(&url_of(transport, name)?)?;
        let found = socket.url().transport();
        let index = TRANSPORTS.iter().position(|known| *known == found);
        let index = index.and_then(|index| u8::try_from(index).ok());
        self.head.transport = index.ok_or(Failure::of_system(failure::NOT_SUPPORTED))?;
        Ok(socket)
    }

    pub(crate) fn connect_named(
        &mut self,
        name: &[u8],
        timeout: Option<Duration>,
        begin: bool,
        wishes: &Wishes<'_>,
    ) -> Result<Connection, Failure> {
        let transport = self.transport();
        if transport.is_inherited() {
            let socket = self.take(transport, name)?;
            return self.go_on_with(socket, wishes);
        }
        let mut options = wishes.to_connect(transport.is_datagram())?;
        without_tcp(&mut options.socket);
        let url = if transport.is_unix() {
            match listening::unix_target(name)? {
                // An empty name is nobody's; the kernel says so of it.
                Target::Autobind => return Err(Failure::of_system(failure::INVALID)),
                target => SocketUrl::new(transport, target)?,
            }
        } else {
            url_of(transport, name)?
        };
        self.open(&url, options, timeout, begin)
            .inspect_err(|_| count(&counters::FAILED))
    }

    fn go_on_with(
        &mut self,
        socket: Inherited,
        wishes: &Wishes<'_>,
    ) -> Result<Connection, Failure> {
        let transport = socket.url().transport();
        let mut options = wishes.to_connect(transport.is_datagram())?;
        if !transport.is_datagram() && transport.carrier() != Transport::Tcp {
            without_tcp(&mut options.socket);
        }
        self.connected(Stream::inherit(socket, &options)?);
        Ok(Connection::Made)
    }
}

//! What is different on a stream that carries TLS.

use std::net::Shutdown;
use std::{io, mem};

use super::secure::Secure;
use super::{Source, Stream};
use crate::deadline::Deadline;
use crate::error::{Error, Limit, Result, Stage};
use crate::options::{TlsClientOptions, TlsServerOptions};
use crate::pieces::Pieces;
use crate::read_buffer::ReadBuffer;
use crate::select::Interest;
use crate::sys::wait::{Events, Patience, Stop};
use crate::sys::{self, Errno, failed, timed_out};
use crate::transport::tls::{ClientContext, Hindrance, PeerName, ServerContext, Session};
use crate::transport::{Race, TlsFacts};

/// How much may wait to be read while TLS is ended. A peer that goes on sending has no end.
const MOST_AHEAD: usize = 1024 * 1024;

const TOO_MUCH_AHEAD: &str =
    "more than 1 MiB came ahead of the end of TLS, which has to be read first";

const AMID_WRITE: &str = "a write was cut short, and has to go on before TLS ends";

impl Stream {
    /// Begins TLS on a connected stream, as the server's end: what STARTTLS is answered with.
    ///
    /// A stream that waits returns `None` when the handshake is finished. One that does not
    /// returns what [`handshake`](Self::handshake), which goes on with it, waits for.
    ///
    /// # Errors
    ///
    /// At [`Stage::Socket`] for certificates and keys that can't be used. At [`Stage::Handshake`]:
    /// the stream carries TLS already, or datagrams; the peer has sent bytes ahead that were
    /// received as plain text, so that somebody may have put them in between; else as
    /// [`handshake`](Self::handshake).
    pub fn start_tls_server(&mut self, options: &TlsServerOptions) -> Result<Option<Interest>> {
        let session =
            ServerContext::of(self, self.transport, None, options, None)?.session(self)?;
        self.start_tls(session)
    }

    /// Begins TLS on a connected stream, as the client's end: what follows STARTTLS.
    ///
    /// The server's certificate must be of [`peer_name`](TlsClientOptions::peer_name), or else of
    /// the host that the stream was connected to. One that was accepted has no such.
    ///
    /// # Errors
    ///
    /// As [`start_tls_server`](Self::start_tls_server); at [`Stage::Parse`] where there is no name
    /// to look for.
    pub fn start_tls_client(&mut self, options: &TlsClientOptions) -> Result<Option<Interest>> {
        let target = self.origin.as_ref().filter(|_| !self.is_accepted);
        let name = match (&options.peer_name, target) {
            (Some(name), _) => PeerName::new(self, name)?,
            (None, Some(target)) => PeerName::of(target, options)?,
            (None, None) => PeerName::unknown(self, options)?,
        };
        let session = ClientContext::of(self, self.transport, options)?.session(self, &name)?;
        self.start_tls(session)
    }

    fn start_tls(&mut self, session: Session) -> Result<Option<Interest>> {
        let refused = |stream: &Self, why: &str| Err(Error::new(Stage::Handshake, stream, why));
        if self.transport.is_datagram() {
            return refused(self, "TLS is for streams of bytes");
        }
        if !self.buffer.is_empty() {
            return refused(
                self,
                "bytes came ahead of TLS, which anybody may have put there",
            );
        }
        let socket = match &mut self.source {
            Source::Socket(socket) => {
                // The socket changes its place, which must not be empty meanwhile.
                let place = sys::reserve()
                    .map_err(|errno| failed(Stage::Socket, "a place for TLS", errno))?;
                mem::replace(socket, place)
            }
            _ => return refused(self, "it carries TLS already"),
        };
        self.source = Source::Secure(Box::new(Secure::new(socket, session)));
        self.handshake()
    }

    /// The server's or client's end of TLS over a socket that was accepted or connected.
    pub(crate) fn secured(mut self, session: Session) -> Self {
        if let Source::Socket(socket) = self.source {
            self.source = Source::Secure(Box::new(Secure::new(socket, session)));
        }
        self
    }

    /// Ends TLS and goes on in plain: close_notify both ways. What the peer sent before its own can
    /// still be read.
    ///
    /// A stream that does not wait says that it would block, until the peer has answered; then it
    /// is to be called again. Without TLS it does nothing.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`], as a write and a read, when a write was cut short and has not gone on, and
    /// when the peer has sent more than 1 MiB that is not read yet; the stream carries TLS still.
    pub fn stop_tls(&mut self) -> Result<()> {
        self.timed_out = None;
        let mut patience = Patience::new(self.blocking, self.read_timeout());
        let result = self.until_done(&mut patience, |secure, rest| {
            // Its rest would go as plain text, and is encrypted already.
            if secure.session().is_amid_write() {
                return Err(Hindrance::Broken(AMID_WRITE.to_owned()));
            }
            secure.close(rest)?;
            while !secure.session().is_closed() {
                if rest.bytes().len() > MOST_AHEAD {
                    return Err(Hindrance::Broken(TOO_MUCH_AHEAD.to_owned()));
                }
                secure.read(&mut [], rest)?;
            }
            Ok(())
        });
        result.map_err(|halt| self.halted(halt, Limit::Read))?;
        let Source::Secure(secure) = &mut self.source else {
            return Ok(());
        };
        let place =
            sys::reserve().map_err(|errno| failed(Stage::Socket, "a place for TLS", errno))?;
        let before = self.buffer.bytes().len();
        let decrypted = secure.session().received();
        let socket = secure.take_apart(place, &mut self.buffer);
        // What came behind the end of TLS is no longer TLS's to count.
        let plain = self.buffer.bytes().len() - before;
        self.received += decrypted + plain as u64;
        self.source = Source::Socket(socket);
        Ok(())
    }

    /// Goes on with the handshake of TLS; `None` when it is finished, or there is none.
    ///
    /// A stream that waits does so until it is finished. One that does not returns what the
    /// descriptor must become ready for. Reads and writes make the handshake as well, if it is
    /// not finished; so this is for programs that want to know.
    ///
    /// # Errors
    ///
    /// At [`Stage::Handshake`], and then for good: the peer's certificate is not accepted, the
    /// ends have nothing in common, the peer ended the connection or sent something else than
    /// TLS, its time is over ([`Limit::Handshake`]).
    pub fn handshake(&mut self) -> Result<Option<Interest>> {
        self.timed_out = None;
        if !self.receive_header()? {
            return Ok(Some(Interest::READ));
        }
        let mut patience = Patience::new(self.blocking, None);
        match self.handshake_within(&mut patience) {
            Ok(()) => Ok(None),
            Err(Halt::Stop(Stop::WouldBlock)) => Ok(Some(self.awaits(Interest::READ))),
            Err(halt) => Err(self.halted(halt, Limit::Handshake)),
        }
    }

    /// Makes the handshake of a connect, in the time that is left for it.
    pub(super) fn handshake_in_race(&mut self, race: &Race) -> Result<()> {
        let mut patience = Patience::new(true, race.remaining());
        match self.handshake_within(&mut patience) {
            Ok(()) => Ok(()),
            Err(Halt::Stop(Stop::TimedOut)) => Err(race.handshake_timed_out()),
            Err(halt) => Err(self.halted(halt, Limit::Handshake).with_url(race.url())),
        }
    }

    /// Whether the client has said what it wants, so that there is an answer.
    pub(crate) fn has_begun_handshake(&self) -> bool {
        let secure = self.source.secure();
        !self.awaits_header() && secure.is_some_and(|secure| secure.session().has_begun())
    }

    /// When the time of the handshake is over.
    pub(crate) fn handshake_deadline(&self) -> Deadline {
        if let Some(deadline) = self.header_deadline() {
            return deadline;
        }
        let secure = self.source.secure();
        secure.map_or(Deadline::NEVER, |secure| {
            secure.session().handshake_deadline()
        })
    }

    /// Whether TLS is still to be agreed upon, or the header of a proxy to come.
    pub fn is_handshaking(&self) -> bool {
        let secure = self.source.secure();
        self.awaits_header() || secure.is_some_and(|secure| secure.session().is_handshaking())
    }

    /// Whether what the peer sent has ended without close_notify, so that something may be missing.
    /// Where [`danger_accept_truncation`](TlsServerOptions::danger_accept_truncation) is set, reads
    /// tell of an end like any other.
    pub fn is_truncated(&self) -> bool {
        let secure = self.source.secure();
        secure.is_some_and(|secure| secure.session().is_truncated())
    }

    /// What the two ends have agreed upon; `None` without TLS and before the handshake is finished.
    pub fn tls(&self) -> Option<TlsFacts> {
        let session = self.source.secure()?.session();
        (!session.is_handshaking()).then(|| session.facts())
    }

    /// What the descriptor has to become ready for, for a read ([`Interest::READ`]) or a write
    /// ([`Interest::WRITE`]) that would have blocked to go on.
    ///
    /// That is the same, but over TLS: a handshake may have to send before anything can be read,
    /// and the other way round.
    pub fn awaits(&self, wanted: Interest) -> Interest {
        match self.source.secure() {
            Some(secure) if secure.session().is_handshaking() => interest(secure.blocked()),
            Some(secure) if secure.session().has_output() => wanted.and(Interest::WRITE),
            _ => wanted,
        }
    }

    /// Reads decrypted bytes: those that wait, and what the socket has.
    pub(super) fn read_tls(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let taken = self.buffer.take(target);
        let target = &mut target[taken..];
        if target.is_empty() || self.at_end {
            return Ok(taken);
        }
        self.timed_out = None;
        let mut patience = Patience::new(self.blocking && taken == 0, self.read_timeout());
        match self.decrypt(&mut patience, target) {
            Ok(filled) => {
                self.at_end |= filled == 0;
                Ok(taken + filled)
            }
            // The next read meets it again.
            Err(_) if taken > 0 => Ok(taken),
            // No words are made for what a loop meets at every turn.
            Err(Halt::Stop(Stop::WouldBlock)) => Err(io::ErrorKind::WouldBlock.into()),
            Err(halt) => Err(self.halted(halt, Limit::Read).into()),
        }
    }

    /// Reads what waits, or what has come, where it was decrypted, and without waiting; nothing at
    /// the end. The stream carries TLS, and its handshake is finished.
    pub(crate) fn read_in_place(&mut self) -> io::Result<Pieces> {
        if !self.buffer.is_empty() {
            return Ok(mem::take(&mut self.buffer).into());
        }
        let Some(secure) = self.source.secure_mut().filter(|_| !self.at_end) else {
            return Ok(Pieces::default());
        };
        self.timed_out = None;
        match secure.read_in_place() {
            Ok(pieces) => {
                self.at_end |= pieces.len() == 0;
                Ok(pieces)
            }
            Err(Hindrance::Blocked(_)) => Err(io::ErrorKind::WouldBlock.into()),
            Err(hindrance) => Err(self.halted(hindrance.into(), Limit::Read).into()),
        }
    }

    /// Decrypts into the buffer; how many bytes came, 0 at the end.
    pub(super) fn fill_tls(&mut self, patience: &mut Patience) -> Result<usize> {
        let before = self.buffer.bytes().len();
        if let Err(halt) = self.decrypt(patience, &mut []) {
            return Err(self.halted(halt, Limit::Read));
        }
        let length = self.buffer.bytes().len() - before;
        self.at_end |= length == 0;
        Ok(length)
    }

    /// Whether the peer has said that it sends no more, and all it sent was read.
    pub(super) fn is_eof_of_tls(&mut self) -> Result<bool> {
        match self.decrypt(&mut Patience::new(false, None), &mut []) {
            Ok(_) => self.at_end |= self.buffer.is_empty(),
            Err(Halt::Stop(Stop::WouldBlock)) => {}
            Err(halt) => return Err(self.halted(halt, Limit::Read)),
        }
        Ok(self.at_end)
    }

    pub(super) fn peek_tls(&mut self, target: &mut [u8]) -> Result<usize> {
        if !self.at_end {
            let mut patience = Patience::new(self.blocking, self.read_timeout());
            self.timed_out = None;
            self.fill_tls(&mut patience)?;
        }
        let bytes = self.buffer.bytes();
        let length = bytes.len().min(target.len());
        target[..length].copy_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn decrypt(
        &mut self,
        patience: &mut Patience,
        target: &mut [u8],
    ) -> std::result::Result<usize, Halt> {
        let before = self.buffer.bytes().len();
        self.handshake_within(patience)?;
        if self.buffer.bytes().len() > before {
            // It came with the end of the handshake.
            return Ok(self.buffer.take(target));
        }
        let (Some(secure), buffer) = (self.source.secure_mut(), &mut self.buffer) else {
            return Ok(0);
        };
        loop {
            match secure.read(target, buffer) {
                Err(Hindrance::Blocked(events)) => patience.wait(&*secure, events)?,
                result => return Ok(result?),
            }
        }
    }

    /// Encrypts and sends; how many bytes went.
    pub(super) fn send_tls(&mut self, patience: &mut Patience, bytes: &[u8]) -> Result<usize> {
        match self.encrypt(patience, bytes) {
            Ok(length) => {
                self.sent += length as u64;
                Ok(length)
            }
            Err(halt) => Err(self.halted(halt, Limit::Write)),
        }
    }

    /// Encrypts all of these, without waiting or sending: that the next
    /// [`flush`](io::Write::flush) does. The stream carries TLS, and its handshake is finished.
    pub(crate) fn take_whole(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (Some(secure), buffer) = (self.source.secure_mut(), &mut self.buffer) else {
            return Ok(());
        };
        self.timed_out = None;
        match secure.take(bytes, buffer) {
            Ok(()) => {
                self.sent += bytes.len() as u64;
                Ok(())
            }
            Err(hindrance) => Err(self.halted(hindrance.into(), Limit::Write).into()),
        }
    }

    fn encrypt(
        &mut self,
        patience: &mut Patience,
        bytes: &[u8],
    ) -> std::result::Result<usize, Halt> {
        self.handshake_within(patience)?;
        let (Some(secure), buffer) = (self.source.secure_mut(), &mut self.buffer) else {
            return Ok(0);
        };
        loop {
            match secure.write(bytes, buffer) {
                Err(Hindrance::Blocked(events)) => patience.wait(&*secure, events)?,
                result => return Ok(result?),
            }
        }
    }

    /// Ends TLS before the socket: close_notify, unless only reading ends.
    pub(super) fn close_tls(&mut self, how: Shutdown) -> Result<()> {
        if how == Shutdown::Read || self.is_handshaking() {
            return Ok(());
        }
        let mut patience = Patience::new(self.blocking, self.write_timeout());
        let result = self.until_done(&mut patience, Secure::close);
        result.map_err(|halt| self.halted(halt, Limit::Write))
    }

    /// Sends what the socket did not take at once.
    pub(super) fn flush_tls(&mut self) -> Result<()> {
        let mut patience = Patience::new(self.blocking, self.write_timeout());
        let result = self.until_done(&mut patience, |secure, _| secure.flush());
        result.map_err(|halt| self.halted(halt, Limit::Write))
    }

    fn until_done(
        &mut self,
        patience: &mut Patience,
        mut act: impl FnMut(&mut Secure, &mut ReadBuffer) -> std::result::Result<(), Hindrance>,
    ) -> std::result::Result<(), Halt> {
        let (Some(secure), buffer) = (self.source.secure_mut(), &mut self.buffer) else {
            return Ok(());
        };
        loop {
            match act(secure, buffer) {
                Err(Hindrance::Blocked(events)) => patience.wait(&*secure, events)?,
                result => return Ok(result?),
            }
        }
    }

    fn handshake_within(&mut self, patience: &mut Patience) -> std::result::Result<(), Halt> {
        let (Some(secure), buffer) = (self.source.secure_mut(), &mut self.buffer) else {
            return Ok(());
        };
        if !secure.session().is_handshaking() {
            return Ok(());
        }
        let deadline = secure.session().handshake_deadline();
        loop {
            match secure.handshake(buffer) {
                Err(Hindrance::Blocked(events)) => {
                    patience.wait_until(&*secure, events, deadline)?;
                }
                result => return Ok(result?),
            }
        }
    }

    /// The error of an operation that TLS, or the time, ended.
    fn halted(&mut self, halt: Halt, limit: Limit) -> Error {
        let stage = if self.is_handshaking() {
            Stage::Handshake
        } else {
            Stage::Io
        };
        let action = match (stage, limit) {
            (Stage::Handshake, _) => "shake hands with",
            (_, Limit::Write) => "write to",
            _ => "read from",
        };
        let hindrance = match halt {
            Halt::Stop(stop) if limit != Limit::Handshake => return self.stopped(stop, limit),
            Halt::Stop(Stop::System(errno)) => Hindrance::System(errno),
            Halt::Stop(_) => Hindrance::Late,
            Halt::Tls(hindrance) => hindrance,
        };
        match hindrance {
            Hindrance::Broken(reason) => Error::new(stage, &self, reason),
            Hindrance::Truncated => {
                let reason = "the connection ended without close_notify, so that something \
                              may be missing";
                Error::new(stage, &self, reason)
            }
            Hindrance::Late => {
                self.timed_out = Some(Limit::Handshake);
                let secure = self.source.secure();
                let timeout = secure.map(|secure| secure.session().handshake_timeout());
                timed_out(Stage::Handshake, &self, Limit::Handshake, timeout)
            }
            Hindrance::System(errno) => failed(stage, &self, errno),
            Hindrance::Blocked(_) => failed(stage, &self, Errno::AGAIN),
        }
        .with_action(action)
    }
}

/// Why an operation over TLS ended without a result.
#[derive(Debug)]
enum Halt {
    Stop(Stop),
    Tls(Hindrance),
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Hindrance> for Halt {
    fn from(hindrance: Hindrance) -> Self {
        Self::Tls(hindrance)
    }
}

fn interest(events: Events) -> Interest {
    if events.write {
        Interest::WRITE
    } else {
        Interest::READ
    }
}

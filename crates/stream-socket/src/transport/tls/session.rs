//! One end of one TLS connection, over a socket that it never waits for.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::connection::{Connection, Output, Sink};
use super::facts::facts;
use super::noted;
use super::reason::reason;
use crate::deadline::Deadline;
use crate::pieces::Pieces;
use crate::read_buffer::ReadBuffer;
use crate::sys::socket::{self, Take};
use crate::sys::wait::{Events, poll_one};
use crate::sys::{Errno, fork, option};
use crate::transport::TlsFacts;

/// What is encrypted in one go: four records. Measured: 64 KiB cost a quarter less processor time
/// than 256 KiB, and half of what single records do.
const CHUNK: usize = 4 * RECORD;

/// The text of the largest record (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;

/// What is received in one go where it is decrypted in place: eight records of TLS 1.3, with what
/// encloses them (RFC 8446 section 5.2).
const IN_PLACE: usize = 8 * (RECORD + 22);

/// What is received in one go at least, however little the caller wants: the largest record, of
/// 16 KiB and what encryption adds (RFC 8446 section 5.2).
const LEAST: usize = 17 * 1024;

/// What may come without a byte for the reader, as tickets do. A peer that sent them faster than
/// they are received, without end, would keep a read for as long. Empty records, new keys, warnings
/// and wishes to negotiate anew have narrower limits in rustls: 32, 32, 4 and one.
const MOST_FOR_NOTHING: usize = 1024 * 1024;

const TOO_MUCH_FOR_NOTHING: &str = "the peer sends without end, and nothing to be read";

/// Why an operation has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// The socket is not ready for this.
    Blocked(Events),
    /// A system call failed.
    System(Errno),
    /// TLS can't go on, for this reason.
    Broken(String),
    /// The connection ended without close_notify.
    Truncated,
    /// The handshake's time is over.
    Late,
}

/// How what the peer sends has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Failed(Hindrance),
}

/// A session over a socket, which every call is given.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    /// Records that have not come as a whole.
    incoming: ReadBuffer,
    /// Records that the socket has not taken yet.
    outgoing: ReadBuffer,
    /// What was encrypted of a write that the socket took only in part, and is not reported yet:
    /// the caller comes back with it when the socket is ready.
    owed: ReadBuffer,
    end: Option<End>,
    /// Whether that end came without close_notify.
    is_truncated: bool,
    /// Why nothing more can be sent: what was encrypted can't be taken back, and to send it later,
    /// when the caller has been told that it failed, would double it.
    unsendable: Option<Errno>,
    /// Why TLS can't go on, either way.
    broken: Option<String>,
    has_closed: bool,
    /// Whether it ends without a word.
    is_cut: bool,
    /// Whether the handshake may have something to note still.
    is_noting: bool,
    received: u64,
    /// What came and brought the reader nothing.
    for_nothing: usize,
    server_name: Option<Box<str>>,
    limits: Limits,
    by: Deadline,
    /// The process that used it last. A forked child must not end what its parent goes on with.
    process: u32,
}

/// What the options say of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) handshake: Duration,
    pub(super) accepts_truncation: bool,
}

impl Session {
    pub(super) fn new(connection: Connection, limits: Limits) -> Self {
        Self {
            connection,
            incoming: ReadBuffer::default(),
            outgoing: ReadBuffer::default(),
            owed: ReadBuffer::default(),
            end: None,
            is_truncated: false,
            unsendable: None,
            broken: None,
            has_closed: false,
            is_cut: false,
            is_noting: true,
            received: 0,
            for_nothing: 0,
            server_name: None,
            limits,
            by: Deadline::after(Some(limits.handshake)),
            process: fork::generation(),
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    pub(crate) fn is_client(&self) -> bool {
        self.connection.is_client()
    }

    /// When the handshake's time is over.
    pub(crate) fn handshake_deadline(&self) -> Deadline {
        self.by
    }

    /// The time that a handshake has.
    pub(crate) fn handshake_timeout(&self) -> Duration {
        self.limits.handshake
    }

    /// Whether the client has said what it wants: its ClientHello has come as a whole. Only then
    /// is there an answer.
    pub(crate) fn has_begun(&self) -> bool {
        self.connection.protocol_version().is_some()
    }

    /// Whether records wait for the socket to take them.
    pub(crate) fn has_output(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether a read has an end to tell.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Whether the peer ended without a word.
    pub(crate) fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Whether a write that was cut short has still to go on.
    pub(crate) fn is_amid_write(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Decrypted bytes that came so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    pub(crate) fn facts(&self) -> TlsFacts {
        facts(&self.connection, self.server_name.as_deref())
    }

    /// Goes on with the handshake. Bytes that come behind it are put into `rest`.
    pub(crate) fn handshake(
        &mut self,
        socket: BorrowedFd<'_>,
        rest: &mut ReadBuffer,
    ) -> Result<(), Hindrance> {
        self.process = fork::generation();
        if let Some(End::Failed(hindrance)) = &self.end {
            return Err(hindrance.clone());
        }
        let result = self.shake_hands(socket, &mut Sink::new(&mut [], rest));
        match result {
            Err(Hindrance::Blocked(_)) if self.by.has_passed() => self.fail(Hindrance::Late),
            Err(Hindrance::Blocked(_)) | Ok(()) => {}
            Err(ref hindrance) => self.fail(hindrance.clone()),
        }
        match &self.end {
            Some(End::Failed(hindrance)) => Err(hindrance.clone()),
            _ => result,
        }
    }

    fn shake_hands(
        &mut self,
        socket: BorrowedFd<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Hindrance> {
        loop {
            self.flush(socket)?;
            if !self.is_handshaking() {
                return Ok(());
            }
            self.advance(socket, sink, Output::Nothing)?;
            if self.is_handshaking() && !self.has_output() {
                self.receive(socket, LEAST)?;
            }
        }
    }

    /// Decrypts into `target`, and what it has no room for into `rest`; how much of `target` was
    /// filled, 0 at the end.
    ///
    /// It stops short of a full target only when the socket has no more, as a read of a plain
    /// socket does: loops that wait for an edge rely on that.
    pub(crate) fn read(
        &mut self,
        socket: BorrowedFd<'_>,
        target: &mut [u8],
        rest: &mut ReadBuffer,
    ) -> Result<usize, Hindrance> {
        let wanted = target.len().clamp(LEAST, CHUNK);
        let mut sink = Sink::new(target, rest);
        let is_drained = self.fill(socket, wanted, &mut sink)?;
        // Of a stream in full flow there is more to come than is worth moving this for.
        if is_drained && sink.delivered() < RECORD {
            self.incoming.settle();
        }
        Ok(sink.filled())
    }

    /// Decrypts what one receive brings, and leaves it where that was done; nothing at the end.
    /// There may be more.
    pub(crate) fn read_in_place(&mut self, socket: BorrowedFd<'_>) -> Result<Pieces, Hindrance> {
        // So that whole records come, and no part of one has to move.
        let wanted = IN_PLACE.saturating_sub(self.incoming.bytes().len());
        let mut pieces = Pieces::default();
        self.fill(socket, wanted.max(LEAST), &mut Sink::in_place(&mut pieces))?;
        pieces.own(self.incoming.part_with_memory());
        Ok(pieces)
    }

    /// Receives and decrypts until the sink is full, or the socket has no more; whether a receive
    /// has shown that.
    fn fill(
        &mut self,
        socket: BorrowedFd<'_>,
        wanted: usize,
        sink: &mut Sink<'_>,
    ) -> Result<bool, Hindrance> {
        self.process = fork::generation();
        let mut is_drained = false;
        // What writes have left over goes as far as it can; what stops it stops writes.
        _ = self.flush(socket);
        while self.end.is_none() && !(sink.delivered() > 0 && (sink.is_full() || is_drained)) {
            match self.receive(socket, wanted) {
                Ok(was_all) => is_drained = was_all,
                Err(Hindrance::Blocked(_)) if sink.delivered() > 0 => break,
                Err(Hindrance::Blocked(events)) => return Err(Hindrance::Blocked(events)),
                Err(hindrance) => {
                    self.fail(hindrance);
                    break;
                }
            }
            if let Err(hindrance) = self.advance(socket, sink, Output::Nothing) {
                self.fail(hindrance);
            }
            // So does an answer to the peer's TLS.
            _ = self.flush(socket);
            if self.for_nothing > MOST_FOR_NOTHING {
                self.fail(Hindrance::Broken(TOO_MUCH_FOR_NOTHING.to_owned()));
            }
        }
        match &self.end {
            Some(End::Failed(hindrance)) if sink.delivered() == 0 => Err(hindrance.clone()),
            _ => Ok(is_drained),
        }
    }

    /// Encrypts and sends; how many bytes of `bytes` went. What came meanwhile is put into `rest`.
    ///
    /// Where the socket takes only a part, what it took as whole records is reported, or a single
    /// byte, so that the caller knows that it has begun. The rest is encrypted and can't be taken
    /// back: it is expected to come first the next time. A caller who waits for the socket and goes
    /// on where he was told to, as with any socket, thereby also waits for the records.
    pub(crate) fn write(
        &mut self,
        socket: BorrowedFd<'_>,
        bytes: &[u8],
        rest: &mut ReadBuffer,
    ) -> Result<usize, Hindrance> {
        self.process = fork::generation();
        self.flush(socket)?;
        let settled = self.owed.bytes().len().min(bytes.len());
        let (owed, further) = bytes.split_at(settled);
        if owed != &self.owed.bytes()[..settled] {
            let reason = "a write that was cut short has to go on where it stopped";
            return Err(Hindrance::Broken(reason.to_owned()));
        }
        self.owed.consume(settled);
        match (settled, further) {
            (_, []) => Ok(settled),
            (0, _) => self.encrypt(socket, further, rest),
            // What hinders the further ones is met again by the next write.
            _ => Ok(settled + self.encrypt(socket, further, rest).unwrap_or(0)),
        }
    }

    fn encrypt(
        &mut self,
        socket: BorrowedFd<'_>,
        bytes: &[u8],
        rest: &mut ReadBuffer,
    ) -> Result<usize, Hindrance> {
        let now = Deadline::after(Some(Duration::ZERO));
        // Of a single byte none can be held back.
        if bytes.len() == 1 && !poll_one(socket, Events::WRITE, now).unwrap_or(true) {
            return Err(Hindrance::Blocked(Events::WRITE));
        }
        let chunk = &bytes[..bytes.len().min(CHUNK)];
        self.take(socket, chunk, rest)?;
        match self.flush(socket) {
            Ok(()) => Ok(chunk.len()),
            Err(Hindrance::Blocked(_)) => Ok(self.cut_short(chunk)),
            Err(hindrance) => Err(hindrance),
        }
    }

    /// Encrypts all of it, which goes with the next [`flush`](Self::flush).
    pub(crate) fn take(
        &mut self,
        socket: BorrowedFd<'_>,
        bytes: &[u8],
        rest: &mut ReadBuffer,
    ) -> Result<(), Hindrance> {
        self.process = fork::generation();
        let mut sink = Sink::new(&mut [], rest);
        if self.has_closed || !self.advance(socket, &mut sink, Output::Data(bytes))? {
            return Err(Hindrance::System(Errno::PIPE));
        }
        Ok(())
    }

    /// How much of what was just encrypted is to be reported, where the socket took only a part.
    fn cut_short(&mut self, chunk: &[u8]) -> usize {
        // Records are longer than their text, so that these are at least those that are left.
        let last = chunk.len() % RECORD;
        let whole = self
            .outgoing
            .bytes()
            .len()
            .saturating_sub(last)
            .div_ceil(RECORD);
        let gone = chunk.len().saturating_sub(last + whole * RECORD).max(1);
        self.owed.append(&chunk[gone..]);
        self.owed.settle();
        gone
    }

    /// Says that nothing more will be sent: close_notify, as far as the socket takes it.
    pub(crate) fn close(
        &mut self,
        socket: BorrowedFd<'_>,
        rest: &mut ReadBuffer,
    ) -> Result<(), Hindrance> {
        if !self.has_closed {
            self.flush(socket)?;
            self.has_closed = true;
            if !self.is_handshaking() {
                self.advance(socket, &mut Sink::new(&mut [], rest), Output::CloseNotify)?;
            }
        }
        self.flush(socket)
    }

    /// Has it end without close_notify, so that the peer does not take what it has got for all.
    pub(crate) fn cut(&mut self) {
        self.is_cut = true;
    }

    /// The last thing before the socket is closed, if this process is the one to close it.
    ///
    /// A server of TLS 1.3 sends tickets that a client which only writes never reads. Left in the
    /// socket, they would make its close a reset, and what was written be lost.
    pub(crate) fn end(&mut self, socket: BorrowedFd<'_>) {
        if self.is_cut || !self.is_of_this_process() {
            return;
        }
        // Nobody is there any more to be told that it failed.
        let closed = self.close(socket, &mut ReadBuffer::default());
        // All was taken, and fills the socket, so that there is no room for the last word: it would
        // seem to have been cut short.
        if matches!(closed, Err(Hindrance::Blocked(_)))
            && !self.is_amid_write()
            && option::double_send_buffer(socket).is_ok()
        {
            _ = self.close(socket, &mut ReadBuffer::default());
        }
        if self.connection.is_client() && self.end.is_none() {
            _ = self.receive(socket, LEAST);
        }
    }

    /// Whether both ends have said that they send no more.
    pub(crate) fn is_closed(&self) -> bool {
        self.has_closed && self.outgoing.is_empty() && self.end == Some(End::Closed)
    }

    /// Moves to `rest` what came behind the end of TLS.
    pub(crate) fn take_unread(&mut self, rest: &mut ReadBuffer) {
        let unread = self.incoming.bytes();
        let length = unread.len();
        rest.append(unread);
        self.incoming.consume(length);
    }

    /// Whether this process is the one that used it last, and so the one to close it.
    fn is_of_this_process(&self) -> bool {
        self.process == fork::generation()
    }

    /// Sends what waits to be sent, as far as the socket takes it.
    pub(crate) fn flush(&mut self, socket: BorrowedFd<'_>) -> Result<(), Hindrance> {
        if let Some(errno) = self.unsendable {
            return Err(Hindrance::System(errno));
        }
        while !self.outgoing.is_empty() {
            match socket::send(socket, self.outgoing.bytes(), socket::Give::Now) {
                Ok(length) => self.outgoing.consume(length),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.outgoing.settle();
                    return Err(Hindrance::Blocked(Events::WRITE));
                }
                Err(errno) => {
                    self.unsendable = Some(errno);
                    return Err(Hindrance::System(errno));
                }
            }
        }
        Ok(())
    }

    /// Receives up to `wanted` bytes; whether those that came were all there were for now.
    fn receive(&mut self, socket: BorrowedFd<'_>, wanted: usize) -> Result<bool, Hindrance> {
        loop {
            let room = self.incoming.room_between(LEAST, wanted);
            match socket::receive(socket, room, Take::Consume) {
                Ok(0) => return Err(self.cut_off()),
                Ok(length) => {
                    let was_all = length < room.len();
                    self.incoming.filled(length);
                    self.for_nothing += length;
                    return Ok(was_all);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.incoming.settle();
                    return Err(Hindrance::Blocked(Events::READ));
                }
                Err(errno) => {
                    self.incoming.settle();
                    return Err(Hindrance::System(errno));
                }
            }
        }
    }

    /// What it means that the connection has ended without a word.
    fn cut_off(&mut self) -> Hindrance {
        self.incoming.settle();
        if self.is_handshaking() {
            Hindrance::Broken("the peer ended the connection during the handshake".to_owned())
        } else {
            Hindrance::Truncated
        }
    }

    /// Decrypts, encrypts and moves on; whether the output could be encrypted. What breaks is told
    /// to the peer.
    fn advance(
        &mut self,
        socket: BorrowedFd<'_>,
        sink: &mut Sink<'_>,
        output: Output<'_>,
    ) -> Result<bool, Hindrance> {
        if let Some(reason) = &self.broken {
            return Err(Hindrance::Broken(reason.clone()));
        }
        let mut unknown_issuer = None;
        let before = sink.delivered();
        let (incoming, outgoing) = (&mut self.incoming, &mut self.outgoing);
        let result = self.connection.advance(incoming, outgoing, sink, output);
        if !sink.is_in_place() {
            incoming.release_if_empty();
        }
        if self.is_noting {
            let noted = noted::take();
            self.server_name = noted.server_name.or(self.server_name.take());
            unknown_issuer = noted.unknown_issuer;
            self.is_noting = self.is_handshaking();
        }
        let delivered = sink.delivered() - before;
        self.received += delivered as u64;
        // As much as the padding of a byte may be.
        self.for_nothing = self.for_nothing.saturating_sub(delivered * LEAST);
        if sink.is_closed() && self.end.is_none() {
            self.end = Some(End::Closed);
        }
        result.map_err(|error| {
            self.connection
                .last_words(&mut self.incoming, &mut self.outgoing);
            _ = self.flush(socket);
            let why = match unknown_issuer {
                Some(issuer) => format!("{}: it is {issuer}", reason(&error)),
                None => reason(&error),
            };
            Hindrance::Broken(self.broken.insert(why).clone())
        })
    }

    /// Notes how what the peer sends has ended.
    fn fail(&mut self, hindrance: Hindrance) {
        self.is_truncated |= hindrance == Hindrance::Truncated;
        let is_end = hindrance == Hindrance::Truncated && self.limits.accepts_truncation;
        self.end.get_or_insert(if is_end {
            End::Closed
        } else {
            End::Failed(hindrance)
        });
    }
}

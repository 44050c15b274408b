//! rustls's two kinds of connection as one, driven until it needs the socket.

use std::fmt;
use std::ops::{Deref, Range};

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{CommonState, Error};

use super::text::{self, Place};
use crate::pieces::Pieces;
use crate::read_buffer::ReadBuffer;

/// What rustls makes room for in one record, and what a few records need more than their text.
const OVERHEAD: usize = 1024;

pub(super) enum Connection {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// Who gets decrypted bytes.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    way: Way<'a>,
    delivered: usize,
    is_closed: bool,
}

#[derive(Debug)]
enum Way<'a> {
    /// They are copied to the caller, and what he has no room for to `rest`.
    Copied {
        target: &'a mut [u8],
        filled: usize,
        rest: &'a mut ReadBuffer,
    },
    /// They stay where they were decrypted.
    InPlace(&'a mut Pieces),
}

impl<'a> Sink<'a> {
    pub(super) fn new(target: &'a mut [u8], rest: &'a mut ReadBuffer) -> Self {
        Self::by(Way::Copied {
            target,
            filled: 0,
            rest,
        })
    }

    pub(super) fn in_place(pieces: &'a mut Pieces) -> Self {
        Self::by(Way::InPlace(pieces))
    }

    fn by(way: Way<'a>) -> Self {
        Self {
            way,
            delivered: 0,
            is_closed: false,
        }
    }

    /// Takes what was decrypted at that place of the memory.
    fn put(&mut self, memory: &mut [u8], place: Range<usize>) {
        self.delivered += place.len();
        match &mut self.way {
            Way::Copied {
                target,
                filled,
                rest,
            } => {
                let (bytes, room) = (&memory[place], &mut target[*filled..]);
                let (now, later) = bytes.split_at(bytes.len().min(room.len()));
                room[..now.len()].copy_from_slice(now);
                *filled += now.len();
                rest.append(later);
            }
            Way::InPlace(pieces) => pieces.add(memory, place),
        }
    }

    /// How much of the target was filled.
    pub(super) fn filled(&self) -> usize {
        match &self.way {
            Way::Copied { filled, .. } => *filled,
            Way::InPlace(pieces) => pieces.len(),
        }
    }

    /// Whether what it has got is in the memory of the records still.
    pub(super) fn is_in_place(&self) -> bool {
        matches!(&self.way, Way::InPlace(pieces) if pieces.len() > 0)
    }

    /// Whether it has got as much as one read brings.
    pub(super) fn is_full(&self) -> bool {
        match &self.way {
            Way::Copied { target, filled, .. } => *filled == target.len(),
            Way::InPlace(pieces) => pieces.len() > 0,
        }
    }

    /// How much was decrypted in all.
    pub(super) fn delivered(&self) -> usize {
        self.delivered
    }

    /// Whether the peer has said that it sends no more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }
}

/// What is to be sent, where that is possible.
#[derive(Clone, Copy, Debug)]
pub(super) enum Output<'a> {
    Nothing,
    Data(&'a [u8]),
    CloseNotify,
}

impl Connection {
    /// Decrypts what came, moves the handshake on, and encrypts the output; whether that was
    /// possible: not before the handshake is finished, nor after both ends have closed. The memory
    /// of what came is kept, for there may be text in it.
    pub(super) fn advance(
        &mut self,
        incoming: &mut ReadBuffer,
        outgoing: &mut ReadBuffer,
        sink: &mut Sink<'_>,
        output: Output<'_>,
    ) -> Result<bool, Error> {
        loop {
            if let Some(is_sent) = self.step(incoming, outgoing, sink, output)? {
                return Ok(is_sent);
            }
        }
    }

    fn step(
        &mut self,
        incoming: &mut ReadBuffer,
        outgoing: &mut ReadBuffer,
        sink: &mut Sink<'_>,
        output: Output<'_>,
    ) -> Result<Option<bool>, Error> {
        let records = incoming.bytes_mut();
        let (discard, step) = match self {
            Self::Client(client) => {
                step(client.process_tls_records(records), outgoing, sink, output)
            }
            Self::Server(server) => {
                step(server.process_tls_records(records), outgoing, sink, output)
            }
        };
        incoming.skip(discard);
        let step = match step? {
            Step::Text(place) => {
                let memory = incoming.memory_mut();
                let place = place.within(memory).ok_or_else(decrypted_elsewhere)?;
                sink.put(memory, place);
                None
            }
            Step::More => None,
            Step::Last(is_sent) => Some(is_sent),
        };
        Ok(step)
    }

    pub(super) fn is_client(&self) -> bool {
        matches!(self, Self::Client(_))
    }

    /// The alert that tells the peer why the connection failed.
    pub(super) fn last_words(&mut self, incoming: &mut ReadBuffer, outgoing: &mut ReadBuffer) {
        let mut rest = ReadBuffer::default();
        let mut sink = Sink::new(&mut [], &mut rest);
        // A step takes what waits to be sent first. One more would look at records again.
        while self.wants_write() {
            _ = self.step(incoming, outgoing, &mut sink, Output::Nothing);
        }
    }
}

impl Deref for Connection {
    type Target = CommonState;

    fn deref(&self) -> &CommonState {
        match self {
            Self::Client(client) => client,
            Self::Server(server) => server,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client(_) => "Client",
            Self::Server(_) => "Server",
        })
    }
}

/// What rustls has come to.
enum Step {
    /// A record's text was decrypted, at this place.
    Text(Place),
    More,
    /// There is nothing more to do; whether the output was sent.
    Last(bool),
}

/// No provider but that of [`text`] is given to rustls, so that this can't be.
fn decrypted_elsewhere() -> Error {
    Error::General("a record was decrypted, and nobody knows where".to_owned())
}

/// Does what rustls asks for; how many bytes it has done with.
fn step<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut ReadBuffer,
    sink: &mut Sink<'_>,
    output: Output<'_>,
) -> (usize, Result<Step, Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let step = match state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            // What rustls has copied is only the token of what is in place.
            while let Some(Ok(record)) = traffic.next_record() {
                discard += record.discard;
            }
            text::take().map(Step::Text).ok_or_else(decrypted_elsewhere)
        }
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            let mut encode = |room: &mut [u8]| {
                data.encode(room).map_err(|error| match error {
                    rustls::unbuffered::EncodeError::InsufficientSize(size) => size.required_size,
                    _ => 0,
                })
            };
            put_out(outgoing, 0, &mut encode).map(|()| Step::More)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            // It is in the outgoing queue, which goes before anything is waited for.
            data.done();
            Ok(Step::More)
        }
        Ok(ConnectionState::WriteTraffic(traffic)) => {
            send(traffic, outgoing, output).map(|()| Step::Last(true))
        }
        Ok(ConnectionState::BlockedHandshake) => Ok(Step::Last(false)),
        Ok(ConnectionState::PeerClosed) => {
            sink.is_closed = true;
            Ok(Step::More)
        }
        Ok(ConnectionState::Closed) => {
            sink.is_closed = true;
            Ok(Step::Last(false))
        }
        // Data that comes early is never asked for, so there is no such state.
        Ok(_) => Ok(Step::Last(false)),
    };
    (discard, step)
}

fn send<Data>(
    mut traffic: WriteTraffic<'_, Data>,
    outgoing: &mut ReadBuffer,
    output: Output<'_>,
) -> Result<(), Error> {
    let needed = |error| match error {
        EncryptError::InsufficientSize(size) => size.required_size,
        EncryptError::EncryptExhausted => 0,
    };
    match output {
        Output::Nothing => Ok(()),
        Output::Data(bytes) => put_out(outgoing, bytes.len() + OVERHEAD, &mut |room| {
            traffic.encrypt(bytes, room).map_err(needed)
        }),
        Output::CloseNotify => put_out(outgoing, OVERHEAD, &mut |room| {
            traffic.queue_close_notify(room).map_err(needed)
        }),
    }
}

/// Appends what `write` makes, which tells its size where the room is too small; 0 if it can't.
fn put_out(
    outgoing: &mut ReadBuffer,
    size: usize,
    write: &mut dyn FnMut(&mut [u8]) -> Result<usize, usize>,
) -> Result<(), Error> {
    let mut size = size;
    for _ in 0..2 {
        match write(outgoing.room_for(size)) {
            Ok(length) => {
                outgoing.filled(length);
                outgoing.release_if_empty();
                return Ok(());
            }
            Err(needed) => size = needed,
        }
    }
    outgoing.release_if_empty();
    Err(Error::EncryptError)
}

//! rustls's two kinds of connection as one, driven until it needs the socket.

use std::fmt;
use std::ops::Deref;

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{CommonState, Error};

use crate::read_buffer::ReadBuffer;

/// What rustls makes room for in one record, and what a few records need more than their text.
const OVERHEAD: usize = 1024;

pub(super) enum Connection {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// Where decrypted bytes go: to the caller, and what he has no room for to `rest`.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    target: &'a mut [u8],
    filled: usize,
    rest: &'a mut ReadBuffer,
    delivered: usize,
    is_closed: bool,
}

impl<'a> Sink<'a> {
    pub(super) fn new(target: &'a mut [u8], rest: &'a mut ReadBuffer) -> Self {
        Self {
            target,
            filled: 0,
            rest,
            delivered: 0,
            is_closed: false,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        let room = &mut self.target[self.filled..];
        let (now, later) = bytes.split_at(bytes.len().min(room.len()));
        room[..now.len()].copy_from_slice(now);
        self.filled += now.len();
        self.rest.append(later);
        self.delivered += bytes.len();
    }

    /// How much of the target was filled.
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    pub(super) fn is_full(&self) -> bool {
        self.filled == self.target.len()
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
    /// possible: not before the handshake is finished, nor after both ends have closed.
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
        incoming.consume(discard);
        step
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

/// Does what rustls asks for; how many bytes it has done with, and whether the output was sent,
/// once there is nothing more to do.
fn step<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut ReadBuffer,
    sink: &mut Sink<'_>,
    output: Output<'_>,
) -> (usize, Result<Option<bool>, Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let step = match state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            let mut read = Ok(None);
            while let Some(record) = traffic.next_record() {
                match record {
                    Ok(record) => {
                        discard += record.discard;
                        sink.put(record.payload);
                    }
                    Err(error) => read = Err(error),
                }
            }
            read
        }
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            let mut encode = |room: &mut [u8]| {
                data.encode(room).map_err(|error| match error {
                    rustls::unbuffered::EncodeError::InsufficientSize(size) => size.required_size,
                    _ => 0,
                })
            };
            put_out(outgoing, 0, &mut encode).map(|()| None)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            // It is in the outgoing queue, which goes before anything is waited for.
            data.done();
            Ok(None)
        }
        Ok(ConnectionState::WriteTraffic(traffic)) => {
            send(traffic, outgoing, output).map(|()| Some(true))
        }
        Ok(ConnectionState::BlockedHandshake) => Ok(Some(false)),
        Ok(ConnectionState::PeerClosed) => {
            sink.is_closed = true;
            Ok(None)
        }
        Ok(ConnectionState::Closed) => {
            sink.is_closed = true;
            Ok(Some(false))
        }
        // Data that comes early is never asked for, so there is no such state.
        Ok(_) => Ok(Some(false)),
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

//! One direction of a relay.

use std::io::{self, ErrorKind, Read};

use super::end::End;
use crate::engine::pipes::{Loan, Pipes};
use crate::engine::task::Turn;
use crate::pieces::Pieces;

/// A read this large counts as bulk; after [`BULK`] of them the bytes go through a pipe, or from
/// where TLS has decrypted them. Short connections and small messages never come so far.
pub(super) const LARGE: usize = 16 * 1024;
const BULK: u8 = 2;
/// From then on each large read has it be bulk until four in a row are small: the rest of what was
/// sent at once often is.
const STEADY: u8 = BULK + 3;

/// From one end to the other.
#[derive(Debug, Default)]
pub(super) struct Flow {
    held: Option<Box<Held>>,
    state: State,
    /// Large reads in a row, up to [`BULK`]; then how far it is from being bulk no longer.
    large: u8,
    /// Whether splice(2) was tried and is not possible between these two.
    copies: bool,
    /// Bytes that the receiving end has taken.
    sent: u64,
}

/// What was received and could not be sent yet.
#[derive(Debug)]
struct Held {
    content: Content,
    /// Bytes that the system held for the receiver when it was full, or when it was last looked.
    queued: usize,
}

/// At most one buffer, one pipe, or what was decrypted in place at once.
#[derive(Debug)]
enum Content {
    Bytes(Box<[u8]>, usize),
    Pipe(Loan),
    /// So many bytes that the receiver's TLS has encrypted, and not sent all of.
    Taken(usize),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The sender has ended, and the receiver is told when it has taken all.
    Ending,
    Done,
}

/// Whether a step came forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There may be more to do at once.
    Moved,
    /// It has moved all there was.
    Last,
    Blocked,
}

/// Which end failed.
#[derive(Debug)]
pub(super) enum Fault {
    Sender(io::Error),
    Receiver(io::Error),
}

impl Flow {
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether something was received that the receiver has not taken.
    pub(super) fn is_stalled(&self) -> bool {
        self.held.is_some()
    }

    /// Whether a receiver that is full has taken something since that was looked at.
    pub(super) fn is_taken(&mut self, to: &End) -> bool {
        let Some(held) = self.held.as_deref_mut() else {
            return false;
        };
        let before = std::mem::replace(&mut held.queued, to.stream.bytes_queued());
        held.queued < before
    }

    /// Holds what the sender has sent already, while there is no receiver; whether there is such.
    pub(super) fn hear_before(
        &mut self,
        from: &mut End,
        turn: &mut Turn<'_>,
    ) -> Result<bool, io::Error> {
        if self.held.is_some() || !from.is_heard_before() {
            return Ok(self.held.is_some());
        }
        from.ready.readable = true;
        let read = from.stream.read(&mut turn.buffer()[..LARGE]);
        from.refuse_descriptors()?;
        match read {
            // That is read again when there is one.
            Ok(0) => {}
            Ok(length) => {
                from.has_read(length, LARGE);
                let content = Content::Bytes(turn.buffer()[..length].into(), 0);
                self.held = Some(Box::new(Held { content, queued: 0 }));
            }
            Err(error) if from.would_block(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(self.held.is_some())
    }

    fn hold(&mut self, content: Content, to: &End) {
        let queued = to.stream.bytes_queued();
        self.held = Some(Box::new(Held { content, queued }));
    }

    /// Ends it; what it holds is lost.
    pub(super) fn give_up(&mut self, pipes: &mut Pipes) {
        self.state = State::Done;
        if let Some(Content::Pipe(loan)) = self.held.take().map(|held| held.content) {
            pipes.give_back(loan);
        }
    }

    /// Sends what is held, or moves what one read brings.
    #[inline]
    pub(super) fn step(
        &mut self,
        from: &mut End,
        to: &mut End,
        turn: &mut Turn<'_>,
    ) -> Result<Step, Fault> {
        if self.is_at_rest(from) {
            return Ok(Step::Blocked);
        }
        match self.go_on(from, to, turn) {
            Ok(Step::Moved) if self.is_at_rest(from) => Ok(Step::Last),
            result => result,
        }
    }

    /// Whether there is nothing to do before there is news of the sender.
    fn is_at_rest(&self, from: &End) -> bool {
        match self.state {
            State::Open => self.held.is_none() && !from.ready.readable,
            State::Ending => false,
            State::Done => true,
        }
    }

    fn go_on(&mut self, from: &mut End, to: &mut End, turn: &mut Turn<'_>) -> Result<Step, Fault> {
        if self.held.is_some() && !self.flush(to, turn)? {
            from.may_wait().map_err(Fault::Sender)?;
            return Ok(Step::Blocked);
        }
        if self.state == State::Ending {
            if !to.is_told_the_end() {
                return Ok(Step::Blocked);
            }
            self.state = State::Done;
            return Ok(Step::Moved);
        }
        if !from.ready.readable {
            return Ok(Step::Blocked);
        }
        if self.large < BULK || !to.stream.is_plain() {
            return self.copy(from, to, turn);
        }
        if from.stream.is_secure() {
            return self.decrypt(from, to);
        }
        if !self.copies
            && from.stream.is_plain()
            && let Some(loan) = turn.pipes.take()
        {
            return self.splice(from, to, turn, loan);
        }
        self.copy(from, to, turn)
    }

    fn copy(&mut self, from: &mut End, to: &mut End, turn: &mut Turn<'_>) -> Result<Step, Fault> {
        let buffer = if self.large >= BULK && to.takes_all() {
            turn.double_buffer()
        } else {
            turn.buffer()
        };
        let read = from.stream.read(buffer);
        from.refuse_descriptors().map_err(Fault::Sender)?;
        match read {
            Ok(0) if from.is_at_end().map_err(Fault::Sender)? => {
                self.state = State::Ending;
                Ok(Step::Moved)
            }
            Ok(length) if from.has_a_rest_for(to) => {
                let mut whole = buffer[..length].to_vec();
                whole.extend(from.stream.take_buffered());
                self.send(to, &whole, false)?;
                Ok(Step::Moved)
            }
            Ok(length) => self.pass_on(length, from, to, buffer),
            Err(error) if from.would_block(&error) => Ok(Step::Blocked),
            // There may be a datagram behind the message of one that was lost.
            Err(error) if from.is_passing(&error) => Ok(Step::Moved),
            Err(error) => Err(Fault::Sender(error)),
        }
    }

    /// Passes on what one read brought, and what may have come behind it: the last bytes and the
    /// end leave together.
    fn pass_on(
        &mut self,
        mut length: usize,
        from: &mut End,
        to: &mut End,
        buffer: &mut [u8],
    ) -> Result<Step, Fault> {
        let behind = from
            .may_be_the_last(length, buffer.len())
            .then(|| from.stream.read(&mut buffer[length..]));
        length += behind.iter().flatten().sum::<usize>();
        self.large = if length >= LARGE {
            self.large.saturating_add(1)
        } else {
            0
        };
        from.has_read(length, buffer.len());
        let ends = matches!(behind, Some(Ok(0)));
        self.send(to, &buffer[..length], ends)?;
        match behind {
            Some(Ok(0)) => {
                from.is_at_end().map_err(Fault::Sender)?;
                self.state = State::Ending;
            }
            Some(Err(error)) if !from.would_block(&error) => return Err(Fault::Sender(error)),
            _ => {}
        }
        Ok(Step::Moved)
    }

    /// Sends what has just been received, and holds what can't be sent.
    fn send(&mut self, to: &mut End, bytes: &[u8], ends: bool) -> Result<(), Fault> {
        if to.takes_all() && !bytes.is_empty() {
            to.take(bytes).map_err(Fault::Receiver)?;
            return self.send_taken(to, bytes.len());
        }
        let mut at = 0;
        // An empty datagram is sent as well.
        while at < bytes.len() || (at == 0 && to.stream.transport().is_datagram()) {
            match to.write(&bytes[at..], ends) {
                Ok(length) => {
                    at += length;
                    self.sent += length as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.hold(Content::Bytes(bytes[at..].into(), 0), to);
                    break;
                }
                // It is lost, as datagrams are.
                Err(error) if to.is_passing(&error) => break,
                Err(error) => return Err(Fault::Receiver(error)),
            }
            if bytes.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Sends so many bytes that the receiver's TLS has taken; what can't be sent, TLS holds.
    fn send_taken(&mut self, to: &mut End, length: usize) -> Result<(), Fault> {
        match to.send_taken() {
            Ok(()) => self.sent += length as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.hold(Content::Taken(length), to);
            }
            Err(error) => return Err(Fault::Receiver(error)),
        }
        Ok(())
    }

    /// Sends what is decrypted from where that was done.
    fn decrypt(&mut self, from: &mut End, to: &mut End) -> Result<Step, Fault> {
        // What a copy has left over says nothing of what comes.
        let was_left_over = from.stream.has_buffered();
        match from.stream.read_in_place() {
            Ok(pieces) if pieces.len() == 0 => {
                from.is_at_end().map_err(Fault::Sender)?;
                self.state = State::Ending;
            }
            Ok(pieces) => {
                if !was_left_over {
                    self.note_bulk(pieces.len());
                }
                self.send_pieces(to, &pieces)?;
            }
            Err(error) if from.would_block(&error) => return Ok(Step::Blocked),
            Err(error) => return Err(Fault::Sender(error)),
        }
        Ok(Step::Moved)
    }

    fn send_pieces(&mut self, to: &mut End, pieces: &Pieces) -> Result<(), Fault> {
        let mut at = 0;
        while at < pieces.len() {
            match to.write_pieces(pieces, at) {
                Ok(length) => {
                    at += length;
                    self.sent += length as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.hold(Content::Bytes(pieces.rest(at), 0), to);
                    break;
                }
                Err(error) => return Err(Fault::Receiver(error)),
            }
        }
        Ok(())
    }

    /// It is bulk no longer when little comes.
    fn note_bulk(&mut self, length: usize) {
        self.large = if length >= LARGE {
            STEADY
        } else {
            self.large - 1
        };
    }

    fn splice(
        &mut self,
        from: &mut End,
        to: &mut End,
        turn: &mut Turn<'_>,
        mut loan: Loan,
    ) -> Result<Step, Fault> {
        let filled = from.stream.fill_pipe(&mut loan.pipe);
        if let Ok(length @ 1..) = filled {
            self.note_bulk(length);
            self.empty(loan, to, turn)?;
            return Ok(Step::Moved);
        }
        turn.pipes.give_back(loan);
        match filled {
            Ok(_) => {
                from.is_at_end().map_err(Fault::Sender)?;
                self.state = State::Ending;
                Ok(Step::Moved)
            }
            Err(error) if from.would_block(&error) => Ok(Step::Blocked),
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.copies = true;
                Ok(Step::Moved)
            }
            Err(error) => Err(Fault::Sender(error)),
        }
    }

    /// Sends what a pipe has just been filled with, and holds it where that can't be sent.
    fn empty(&mut self, mut loan: Loan, to: &mut End, turn: &mut Turn<'_>) -> Result<(), Fault> {
        while !loan.pipe.is_empty() {
            match to.drain(&mut loan.pipe) {
                Ok(length) => self.sent += length as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.hold(Content::Pipe(loan), to);
                    return Ok(());
                }
                Err(error) => return Err(Fault::Receiver(error)),
            }
        }
        turn.pipes.give_back(loan);
        Ok(())
    }

    /// Sends what is held; whether all of it is gone.
    fn flush(&mut self, to: &mut End, turn: &mut Turn<'_>) -> Result<bool, Fault> {
        while let Some(held) = self.held.as_deref_mut() {
            if !to.ready.writable {
                return Ok(false);
            }
            let sent = match &mut held.content {
                Content::Bytes(bytes, at) => to.write(&bytes[*at..], false),
                Content::Pipe(loan) => to.drain(&mut loan.pipe),
                Content::Taken(length) => to.send_taken().map(|()| *length),
            };
            match sent {
                Ok(length) => self.has_sent(length, turn),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    held.queued = to.stream.bytes_queued();
                    return Ok(false);
                }
                Err(error) if to.is_passing(&error) => self.held = None,
                Err(error) => return Err(Fault::Receiver(error)),
            }
        }
        Ok(true)
    }

    fn has_sent(&mut self, length: usize, turn: &mut Turn<'_>) {
        self.sent += length as u64;
        let is_gone = |held: &mut Box<Held>| match &mut held.content {
            Content::Bytes(bytes, at) => {
                *at += length;
                *at >= bytes.len()
            }
            Content::Pipe(loan) => loan.pipe.is_empty(),
            Content::Taken(_) => true,
        };
        if let Some(Content::Pipe(loan)) = self.held.take_if(is_gone).map(|held| held.content) {
            turn.pipes.give_back(loan);
        }
    }
}

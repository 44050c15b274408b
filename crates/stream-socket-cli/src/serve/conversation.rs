//! A connection over TLS, and the program that serves it.
//!
//! A program can't read TLS. So it has one side of a pair of unix sockets, and what comes is
//! carried to and fro: the end of one direction as its end, and a connection that broke, or was cut
//! short, as one that was reset, so that a program takes no part for the whole.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use stream_socket::engine::{Cause, Next, Turn, Wake};
use stream_socket::{ChildEnd, Interest, Member, Poller, Stream, Transport, select};

use super::beside::Beside;
use super::lingering::Lingering;
use super::process::{AGAIN, Carried, Process};
use super::program::{Client, Program};
use super::running::Released;

/// A client and the program that it talks to.
pub(super) struct Conversation {
    process: Process,
    peer: Stream,
    /// Our side of the pair, until it has been given up.
    ours: Option<Stream>,
    /// The program's side of the pair, until it has ended: another process may still have it.
    theirs: Option<Stream>,
    /// What the loop watches: the connection, our side of the pair, and the program's end.
    watched: Poller,
    /// What the connection and our side are watched for.
    interests: [Interest; 2],
    /// The program's end. Where there is no descriptor for it, it is looked for by the clock.
    end: Option<ChildEnd>,
    /// From the client to the program.
    questions: Way,
    answers: Way,
    /// How the program ended.
    status: Option<String>,
    /// What broke the connection.
    failure: Option<io::Error>,
    lingering: Option<Lingering>,
    /// Last, since then the descriptors are closed.
    _program: Released,
}

/// One direction.
#[derive(Default)]
struct Way {
    /// What was received and could not be sent yet.
    held: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The sender has ended, and the receiver is to be told.
    Ending,
    Done,
}

/// Which end failed.
enum Fault {
    Sender(io::Error),
    Receiver(io::Error),
}

const PEER: usize = 0;
const OURS: usize = 1;

impl Conversation {
    /// Starts the program for a connection, now or when that is possible; `None` where it never
    /// will be, which is logged.
    pub(super) fn new(program: &Arc<Program>, peer: Stream) -> Option<Self> {
        let beside = Beside::start(program, &peer, Transport::Unix)?;
        Some(Self {
            process: beside.process,
            peer,
            ours: Some(beside.ours),
            theirs: Some(beside.theirs),
            interests: [Interest::default(); 2],
            watched: beside.watched,
            end: beside.end,
            questions: Way::default(),
            answers: Way::default(),
            status: None,
            failure: None,
            lingering: None,
            _program: Released(Arc::clone(program)),
        })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.watched.as_fd()
    }

    /// Carries what there is, until both directions and the program have ended.
    pub(super) fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
        if matches!(wake, Wake::Timer | Wake::Drain) && !self.start_late() {
            return Next::Done;
        }
        loop {
            if !self.carry(turn.buffer()) && !self.look_for_the_end() {
                break;
            }
            if turn.is_over() {
                return Next::Yield;
            }
        }
        if self.is_over() && self.leave(turn) {
            return self.finish();
        }
        self.wait(turn)
    }

    /// Tries once more to start the program; false when that is given up.
    fn start_late(&mut self) -> bool {
        let Some(theirs) = &self.theirs else {
            return true;
        };
        let client = Client {
            stream: &self.peer,
            socket: theirs,
        };
        self.process.start_late(client)
    }

    /// Moves what one read of each side brings; whether anything was moved.
    fn carry(&mut self, buffer: &mut [u8]) -> bool {
        let Some(ours) = &mut self.ours else {
            return false;
        };
        let asked = self.questions.step(&mut self.peer, ours, buffer);
        let answered = self.answers.step(ours, &mut self.peer, buffer);
        let asked = match asked {
            Ok(has_moved) => has_moved,
            Err(Fault::Sender(error)) => return self.break_off(error),
            // The program takes no more, as it may.
            Err(Fault::Receiver(_)) => self.questions.give_up(),
        };
        let answered = match answered {
            Ok(has_moved) => has_moved,
            // It ended before it had read all, and what it said has come before.
            Err(Fault::Sender(_)) => self.answers.end(),
            Err(Fault::Receiver(error)) => return self.break_off(error),
        };
        asked || answered
    }

    /// The connection broke: the program reads a reset after what came before.
    ///
    /// A unix socket that is closed before all that it received was read resets the other one. So
    /// there is made to be something.
    fn break_off(&mut self, error: io::Error) -> bool {
        self.failure = Some(error);
        if let Some(mut theirs) = self.theirs.take() {
            let mut members = [Member::new(&theirs, Interest::WRITE)];
            if matches!(select(&mut members, Some(Duration::ZERO)), Ok(1..)) {
                _ = theirs.write(b"\0");
            }
        }
        self.hang_up();
        _ = (self.questions.give_up(), self.answers.give_up());
        true
    }

    /// Closes our side of the pair.
    fn hang_up(&mut self) {
        if let Some(ours) = self.ours.take() {
            // It is not in the set before there was something to wait for.
            _ = self.watched.remove(&ours);
        }
    }

    /// Whether the program has just been found to have ended. Its side of the pair may still be
    /// open elsewhere, but not here.
    fn look_for_the_end(&mut self) -> bool {
        if self.status.is_some() {
            return false;
        }
        self.status = self.process.ended();
        self.theirs = self.theirs.take().filter(|_| self.status.is_none());
        self.status.is_some()
    }

    /// Whether nothing more will be carried, and nobody is left to be waited for.
    fn is_over(&self) -> bool {
        self.status.is_some() && self.answers.state == State::Done
    }

    /// Lets the client, which has been told the end, come to its own; whether it has.
    fn leave(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.failure.is_some() {
            return true;
        }
        self.hang_up();
        let now = turn.now();
        let lingering = self.lingering.get_or_insert_with(|| Lingering::since(now));
        while lingering.until > now {
            match lingering.throw_away(&mut self.peer, turn.buffer()) {
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Ok(true) | Err(_) => return true,
            }
        }
        true
    }

    fn wait(&mut self, turn: &mut Turn<'_>) -> Next {
        if let Err(error) = self.watch() {
            let killed = self.process.kill();
            self.status.get_or_insert(killed);
            self.failure.get_or_insert(error);
            return self.finish();
        }
        let now = turn.now();
        let lingering = self.lingering.as_ref();
        let lingering = lingering.map(|lingering| lingering.until.saturating_duration_since(now));
        let unseen = self.end.is_none() && self.status.is_none();
        turn.set_timer(lingering.or_else(|| unseen.then_some(AGAIN)));
        Next::Wait(Interest::READ)
    }

    /// Has both sides watched for what is next.
    fn watch(&mut self) -> io::Result<()> {
        let peer = self.peer.awaits(both(
            self.questions.wants_more() || self.lingering.is_some(),
            self.answers.wants_room(),
        ));
        if peer != self.interests[PEER] {
            self.watched.add(&self.peer, PEER as u64, peer)?;
            self.interests[PEER] = peer;
        }
        let ours = both(self.answers.wants_more(), self.questions.wants_room());
        if let Some(stream) = &self.ours
            && ours != self.interests[OURS]
        {
            self.watched.add(stream, OURS as u64, ours)?;
            self.interests[OURS] = ours;
        }
        Ok(())
    }

    /// Kills the program, whose time is over.
    pub(super) fn given_up(&mut self, cause: Cause) {
        let status = self.process.give_up(cause);
        self.close(&status);
    }

    fn finish(&mut self) -> Next {
        let status = self.status.take().unwrap_or_default();
        match &self.failure {
            Some(error) => self.close(&format!("{status}, {error}")),
            None => self.close(&status),
        }
        Next::Done
    }

    fn close(&self, status: &str) {
        let carried = Carried {
            received: Some(self.peer.bytes_received()),
            sent: Some(self.peer.bytes_sent()),
            lost: None,
        };
        self.process.close(status, &carried);
    }
}

fn both(reads: bool, writes: bool) -> Interest {
    match (reads, writes) {
        (true, true) => Interest::READ.and(Interest::WRITE),
        (true, false) => Interest::READ,
        (false, true) => Interest::WRITE,
        (false, false) => Interest::default(),
    }
}

impl Way {
    /// Sends what is held, or moves what one read brings; whether anything was moved.
    fn step(&mut self, from: &mut Stream, to: &mut Stream, room: &mut [u8]) -> Result<bool, Fault> {
        if !self.held.is_empty() {
            return self.send_held(to);
        }
        match self.state {
            State::Done => return Ok(false),
            State::Ending => return self.tell_the_end(to),
            State::Open => {}
        }
        let count = match from.read(room) {
            Ok(0) => return Ok(self.end()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(Fault::Sender(error)),
        };
        let sent = match to.write(&room[..count]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            result => result.map_err(Fault::Receiver)?,
        };
        self.held.extend_from_slice(&room[sent..count]);
        Ok(true)
    }

    fn send_held(&mut self, to: &mut Stream) -> Result<bool, Fault> {
        match to.write(&self.held) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            result => _ = self.held.drain(..result.map_err(Fault::Receiver)?),
        }
        if self.held.is_empty() {
            // An idle connection holds no buffer.
            self.held = Vec::new();
        }
        Ok(true)
    }

    /// Over TLS it may have to wait for room.
    fn tell_the_end(&mut self, to: &mut Stream) -> Result<bool, Fault> {
        match to.shutdown(Shutdown::Write) {
            Err(error) if error.io_kind() == ErrorKind::WouldBlock => return Ok(false),
            // One that is gone needs not be told.
            _ => self.state = State::Done,
        }
        Ok(true)
    }

    /// The sender has ended.
    fn end(&mut self) -> bool {
        self.state = State::Ending;
        true
    }

    /// Nothing more can be delivered.
    fn give_up(&mut self) -> bool {
        (self.held, self.state) = (Vec::new(), State::Done);
        true
    }

    fn wants_more(&self) -> bool {
        self.held.is_empty() && self.state == State::Open
    }

    fn wants_room(&self) -> bool {
        !self.held.is_empty() || self.state == State::Ending
    }
}

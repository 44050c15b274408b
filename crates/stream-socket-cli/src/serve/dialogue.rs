//! A peer of a datagram listener, and the program that answers it.
//!
//! The program can't have the listener's socket, which is everybody's, and one of the peer's own
//! would lack the datagram that made the peer known. So it has one side of a pair of datagram
//! sockets, and what comes is carried to and fro, a datagram for a datagram. It reads the end
//! when its side is shut down, which is kept for that.

use std::io::{BufRead, ErrorKind, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stream_socket::engine::{Cause, Next, Turn, Wake};
use stream_socket::{ChildEnd, Interest, Poller, Stream, Transport};

use super::beside::Beside;
use super::process::{AGAIN, Carried, Process};
use super::program::{Client, Program, number};
use super::running::Released;

/// How long a program may go on after it has been told the end.
const GRACE: Duration = Duration::from_secs(5);

/// How soon an answer is tried again that a unix peer had no room for.
const SOON: Duration = Duration::from_millis(5);

/// errno(3) of Linux: a datagram that is too long to be received, and is gone.
const EMSGSIZE: i32 = 90;

/// A peer and the program that answers it.
pub(super) struct Dialogue {
    process: Process,
    peer: Stream,
    ours: Stream,
    /// The program's side of the pair.
    theirs: Stream,
    /// What the loop watches: our side of the pair, and the program's end.
    watched: Poller,
    interest: Interest,
    /// The program's end. Where there is no descriptor for it, it is looked for by the clock.
    end: Option<ChildEnd>,
    questions: Way,
    answers: Way,
    /// When and why the program was told the end.
    hung_up: Option<(Instant, &'static str)>,
    /// Last, since then the descriptors are closed.
    _program: Released,
}

/// What was carried one way.
#[derive(Default)]
struct Way {
    /// A datagram that there has been no room for.
    held: Option<Box<[u8]>>,
    lost: u64,
}

/// What an attempt to carry a datagram came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Carried,
    /// There was none.
    Idle,
    /// There was no room for it.
    Full,
}

impl Dialogue {
    /// Starts the program for a peer, now or when that is possible; `None` where it never will be,
    /// which is logged.
    pub(super) fn new(program: &Arc<Program>, peer: Stream) -> Option<Self> {
        let beside = Beside::start(program, &peer, Transport::Udg)?;
        Some(Self {
            process: beside.process,
            peer,
            ours: beside.ours,
            theirs: beside.theirs,
            interest: Interest::default(),
            watched: beside.watched,
            end: beside.end,
            questions: Way::default(),
            answers: Way::default(),
            hung_up: None,
            _program: Released(Arc::clone(program)),
        })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.watched.as_fd()
    }

    /// Carries what there is. When the server drains, what came is answered and nothing more.
    pub(super) fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
        if matches!(wake, Wake::Timer | Wake::Drain) && !self.start_late() {
            return Next::Done;
        }
        // What the program said before it ended is in the pair by then.
        let ended = self.process.ended();
        self.ask(turn);
        let answered = self.answers.carry_all(&mut self.ours, &mut self.peer, turn);
        match ended {
            Some(status) if answered == Step::Idle => return self.finish(&status),
            Some(_) => self.hang_up("it had no room for the last answers", turn.now()),
            None => {}
        }
        if turn.is_draining() {
            self.hang_up("the server drains", turn.now());
        }
        if self.is_overdue(turn.now()) {
            let status = self.process.kill();
            return self.finish(&status);
        }
        if answered == Step::Carried {
            return Next::Yield;
        }
        self.wait(turn)
    }

    fn start_late(&mut self) -> bool {
        let client = Client {
            stream: &self.peer,
            socket: &self.theirs,
        };
        self.process.start_late(client)
    }

    /// Carries what the peer asks, or tells the program that it is gone.
    fn ask(&mut self, turn: &mut Turn<'_>) {
        if self.hung_up.is_some() {
            return;
        }
        self.questions
            .carry_all(&mut self.peer, &mut self.ours, turn);
        if self.questions.held.is_none() && self.peer.is_eof().unwrap_or(true) {
            let reason = match self.peer.peer_addr() {
                Some(_) => "the peer was idle for too long",
                None => "the peer has no name to answer to",
            };
            self.hang_up(reason, turn.now());
        }
    }

    /// Lets the program read the end after what it was asked.
    fn hang_up(&mut self, reason: &'static str, now: Instant) {
        if self.hung_up.is_none() {
            self.hung_up = Some((now, reason));
            // It can't fail on a pair that is open.
            _ = self.theirs.shutdown(Shutdown::Read);
            self.questions.give_up();
        }
    }

    fn is_overdue(&self, now: Instant) -> bool {
        self.hung_up
            .is_some_and(|(since, _)| now.saturating_duration_since(since) >= GRACE)
    }

    fn wait(&mut self, turn: &mut Turn<'_>) -> Next {
        let mut interest = Interest::READ;
        if self.questions.held.is_some() {
            interest = interest.and(Interest::WRITE);
        }
        if interest != self.interest {
            self.interest = interest;
            if let Err(error) = self.watched.add(&self.ours, 0, interest) {
                let status = format!("{}, {error}", self.process.kill());
                return self.finish(&status);
            }
        }
        let now = turn.now();
        let left = |(since, _): (Instant, _)| (since + GRACE).saturating_duration_since(now);
        let spans = [
            self.end.is_none().then_some(AGAIN),
            self.answers.held.is_some().then_some(SOON),
            self.hung_up.map(left),
        ];
        turn.set_timer(spans.into_iter().flatten().min());
        Next::Wait(Interest::READ)
    }

    /// Kills the program, whose time is over.
    pub(super) fn given_up(&mut self, cause: Cause) {
        let status = self.process.give_up(cause);
        self.close(&status);
    }

    fn finish(&mut self, status: &str) -> Next {
        match self.hung_up {
            Some((_, reason)) => self.close(&format!("{status}, {reason}")),
            None => self.close(status),
        }
        Next::Done
    }

    fn close(&mut self, status: &str) {
        self.questions.give_up();
        self.answers.give_up();
        let carried = Carried {
            received: Some(self.peer.bytes_received()),
            sent: Some(self.peer.bytes_sent()),
            lost: Some(self.questions.lost + self.answers.lost),
        };
        self.process.close(status, &carried);
    }
}

impl Way {
    /// Carries datagrams as long as there are any, there is room, and the turn is not over.
    fn carry_all(&mut self, from: &mut Stream, to: &mut Stream, turn: &mut Turn<'_>) -> Step {
        loop {
            let step = self.carry(from, to);
            if step != Step::Carried || turn.is_over() {
                return step;
            }
        }
    }

    fn carry(&mut self, from: &mut Stream, to: &mut Stream) -> Step {
        if let Some(datagram) = self.held.take()
            && !self.put(to, &datagram)
        {
            self.held = Some(datagram);
            return Step::Full;
        }
        if from.is_eof().unwrap_or(true) {
            return Step::Idle;
        }
        // Whole, whatever its length, in the buffer that the thread has for that.
        let datagram = match from.fill_buf() {
            Ok(datagram) => datagram,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Idle,
            Err(error) => {
                self.lost += 1;
                let goes_on = number(&error) == Some(EMSGSIZE);
                return if goes_on { Step::Carried } else { Step::Idle };
            }
        };
        let length = datagram.len();
        if !self.put(to, datagram) {
            self.held = Some(datagram.into());
        }
        from.consume(length);
        match self.held {
            Some(_) => Step::Full,
            None => Step::Carried,
        }
    }

    /// Whether it is gone: there was room for it, or it can't be sent at all.
    fn put(&mut self, to: &mut Stream, datagram: &[u8]) -> bool {
        match to.write(datagram) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(_) => {
                self.lost += 1;
                true
            }
        }
    }

    fn give_up(&mut self) {
        self.lost += u64::from(self.held.take().is_some());
    }
}

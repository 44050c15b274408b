//! One connection: a session of the service, its stream, and its limits in time.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use stream_socket::engine::{self, Cause, Turn, Wake};
use stream_socket::{Interest, Limit, ListenOptions, Stream};

use super::lingering::Lingering;
use crate::log::milliseconds;
use crate::service::{Next, Session};

/// A connection that is being served.
pub(super) struct Connection {
    stream: Stream,
    phase: Phase,
    interest: Interest,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    /// When its first turn began; nobody looks at the clock for it before.
    opened: Option<Instant>,
    /// When it last moved in the direction that is waited for, and how far it had come.
    moved: Option<Instant>,
    count: u64,
    /// Bytes that the system held for the client when it took no more, or when it was last looked.
    queued: usize,
}

enum Phase {
    Serving(Session),
    /// All is sent, and the client has been told so.
    Lingering(Lingering),
}

/// Why a connection ended.
#[derive(Debug)]
enum Ending {
    Done,
    Failed(io::Error),
    TimedOut(Limit, Duration),
    GivenUp(Cause),
}

/// What comes after a step.
enum Step {
    Wait(Interest),
    Again,
    End(Ending),
}

impl Connection {
    pub(super) fn new(stream: Stream, session: Session, options: &ListenOptions) -> Self {
        Self {
            stream,
            phase: Phase::Serving(session),
            interest: Interest::READ,
            read_timeout: options.socket.read_timeout,
            write_timeout: options.socket.write_timeout,
            opened: None,
            moved: None,
            count: 0,
            queued: 0,
        }
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Goes on as far as it can without waiting.
    pub(super) fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> engine::Next {
        if wake == Wake::Start {
            (self.opened, self.moved) = (Some(turn.now()), Some(turn.now()));
        }
        let expired = (wake == Wake::Timer)
            .then(|| self.expired(turn.now()))
            .flatten();
        if let Some(ending) = expired {
            return self.end(&ending);
        }
        if let (Wake::Drain, Phase::Serving(session)) = (wake, &mut self.phase) {
            session.drain();
        }
        let now = turn.now();
        loop {
            match self.step(turn.buffer(), wake.has_ended(), now) {
                Step::End(ending) => return self.end(&ending),
                Step::Wait(interest) => {
                    self.wait_for(interest, turn);
                    return engine::Next::Wait(self.stream.awaits(interest));
                }
                Step::Again if turn.is_over() => return engine::Next::Yield,
                Step::Again => {}
            }
        }
    }

    fn step(&mut self, buffer: &mut [u8], has_ended: bool, now: Instant) -> Step {
        let next = match &mut self.phase {
            Phase::Serving(session) => session.ready(&mut self.stream, buffer, has_ended),
            Phase::Lingering(lingering) => return linger(&mut self.stream, lingering, buffer),
        };
        match next {
            Ok(Next::Wait(interest)) => Step::Wait(interest),
            Ok(Next::Again) => Step::Again,
            Ok(Next::Finish) => self.finish(buffer, now),
            Err(error) => Step::End(Ending::Failed(error)),
        }
    }

    /// All is sent. A client that has said nothing, or all it wanted, can be left at once: what it
    /// says later is answered with a reset, which comes after the answer.
    fn finish(&mut self, buffer: &mut [u8], now: Instant) -> Step {
        let mut lingering = Lingering::since(now);
        match linger(&mut self.stream, &mut lingering, buffer) {
            Step::Wait(_) => self.leave(),
            Step::Again => {
                // It fails where the client has gone, and then there is nothing to be told.
                _ = self.stream.shutdown(Shutdown::Write);
                self.phase = Phase::Lingering(lingering);
                Step::Again
            }
            end => end,
        }
    }

    /// Ends what is sent: before the descriptor is closed, since a client that speaks in between
    /// resets the connection, and what the system holds back for its end would be lost. Over TLS
    /// there is a last word, for which there may be no room yet.
    fn leave(&mut self) -> Step {
        match self.stream.shutdown(Shutdown::Write) {
            Err(error) if error.io_kind() == ErrorKind::WouldBlock => Step::Wait(Interest::WRITE),
            // A client that has gone meanwhile needs no telling.
            _ => Step::End(Ending::Done),
        }
    }

    fn wait_for(&mut self, interest: Interest, turn: &mut Turn<'_>) {
        let count = if interest == Interest::READ {
            self.stream.bytes_received()
        } else {
            self.stream.bytes_sent()
        };
        if interest != self.interest || count != self.count {
            (self.interest, self.count, self.moved) = (interest, count, Some(turn.now()));
            if interest != Interest::READ {
                self.queued = self.stream.bytes_queued();
            }
        }
        let due = self.due();
        turn.set_timer(due.map(|due| due.saturating_duration_since(turn.now())));
    }

    /// When it will have taken too long.
    fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Lingering(ref lingering) => Some(lingering.until),
            Phase::Serving(_) => self.moved?.checked_add(self.limit().1?),
        }
    }

    /// Which limit counts while it waits for what it waits for.
    fn limit(&self) -> (Limit, Option<Duration>) {
        if self.interest == Interest::READ {
            (Limit::Read, self.read_timeout)
        } else {
            (Limit::Write, self.write_timeout)
        }
    }

    /// Why it has to end, if it has taken too long.
    fn expired(&mut self, now: Instant) -> Option<Ending> {
        self.due().filter(|due| *due <= now)?;
        if matches!(self.phase, Phase::Serving(_)) && self.is_moving() {
            self.moved = Some(now);
            return None;
        }
        Some(match (&self.phase, self.limit()) {
            (Phase::Serving(_), (limit, Some(span))) => Ending::TimedOut(limit, span),
            _ => Ending::Done,
        })
    }

    /// Whether the client has yet to take something.
    pub(super) fn is_stalled(&self) -> bool {
        self.interest != Interest::READ
    }

    /// Whether a slow client has taken something of what it has yet to take.
    pub(super) fn is_moving(&mut self) -> bool {
        let before = std::mem::replace(&mut self.queued, self.stream.bytes_queued());
        self.is_stalled() && self.queued < before
    }

    pub(super) fn given_up(&mut self, cause: Cause) {
        self.end(&Ending::GivenUp(cause));
    }

    /// Says what it was; the engine then closes it.
    fn end(&mut self, ending: &Ending) -> engine::Next {
        tracing::info!(
            peer = %self.stream,
            received = self.stream.bytes_received(),
            sent = self.stream.bytes_sent(),
            milliseconds = milliseconds(self.opened.map_or(Duration::ZERO, |at| at.elapsed())),
            reason = %ending,
            "closed",
        );
        engine::Next::Done
    }
}

/// Throws away what the client still sends.
fn linger(stream: &mut Stream, lingering: &mut Lingering, buffer: &mut [u8]) -> Step {
    match lingering.throw_away(stream, buffer) {
        Ok(true) => Step::End(Ending::Done),
        Ok(false) => Step::Again,
        Err(error) if error.kind() == ErrorKind::WouldBlock => Step::Wait(Interest::READ),
        Err(error) => Step::End(Ending::Failed(error)),
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Done => f.write_str("done"),
            Ending::Failed(error) => error.fmt(f),
            Ending::TimedOut(limit, span) => write!(f, "{limit} timed out after {span:?}"),
            Ending::GivenUp(Cause::Idle) => f.write_str("idle for too long"),
            Ending::GivenUp(Cause::Lifetime) => f.write_str("its lifetime is over"),
            Ending::GivenUp(Cause::Unwatched) => f.write_str("the system can't watch it"),
            Ending::GivenUp(_) => f.write_str("cut off at the end of the drain"),
        }
    }
}

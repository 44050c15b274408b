//! One connection: a session of the service, its stream, and its limits in time.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use stream_socket::{Interest, Limit, ListenOptions, Stream};

use crate::service::{Next, Session};

/// How long, and for how many bytes, a client that has its answer may go on sending.
///
/// To close while received bytes are unread resets the connection, and the reset may overtake the
/// answer (RFC 1122 section 4.2.2.13, RFC 2525 section 2.17). A client on the other side of the
/// world needs a few tenths of a second to close; more than a mebibyte is no question.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// How long a connection may stand still.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    read: Option<Duration>,
    write: Option<Duration>,
}

impl Limits {
    pub(super) fn of(options: &ListenOptions) -> Self {
        Self {
            read: options.socket.read_timeout,
            write: options.socket.write_timeout,
        }
    }
}

/// A connection that is being served.
pub(super) struct Connection {
    stream: Stream,
    phase: Phase,
    interest: Interest,
    limits: Limits,
    opened: Instant,
    /// When it last moved in the direction that is waited for, and how far it had come.
    moved: Instant,
    count: u64,
}

enum Phase {
    Serving(Session),
    /// All is sent, and the client has been told so; what it still sends is thrown away.
    Lingering {
        until: Instant,
        left: usize,
    },
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Ending {
    Done,
    Failed(io::Error),
    TimedOut(Limit, Duration),
    CutOff,
}

impl Connection {
    pub(super) fn new(mut stream: Stream, session: Session, limits: Limits, now: Instant) -> Self {
        stream.set_blocking(false);
        Self {
            stream,
            phase: Phase::Serving(session),
            interest: Interest::READ,
            limits,
            opened: now,
            moved: now,
            count: 0,
        }
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    pub(super) fn interest(&self) -> Interest {
        self.interest
    }

    /// Goes on as far as it can without waiting; why it ended, if it did.
    pub(super) fn turn(&mut self, buffer: &mut [u8], now: Instant) -> Option<Ending> {
        let result = match &mut self.phase {
            Phase::Serving(session) => session.ready(&mut self.stream, buffer),
            Phase::Lingering { .. } => return self.linger(buffer),
        };
        match result {
            Ok(Next::Wait(interest)) => {
                self.wait_for(interest, now);
                None
            }
            Ok(Next::Finish) => self.finish(buffer, now),
            Err(error) => Some(Ending::Failed(error)),
        }
    }

    fn wait_for(&mut self, interest: Interest, now: Instant) {
        let count = if interest == Interest::READ {
            self.stream.bytes_received()
        } else {
            self.stream.bytes_sent()
        };
        if interest != self.interest || count != self.count {
            (self.interest, self.count, self.moved) = (interest, count, now);
        }
    }

    /// Tells the client that all is sent, and waits for it to close.
    fn finish(&mut self, buffer: &mut [u8], now: Instant) -> Option<Ending> {
        // It fails where the client has gone, and then there is nothing to be told.
        _ = self.stream.shutdown(Shutdown::Write);
        self.interest = Interest::READ;
        self.phase = Phase::Lingering {
            until: now + LINGER,
            left: LINGER_BYTES,
        };
        self.linger(buffer)
    }

    fn linger(&mut self, buffer: &mut [u8]) -> Option<Ending> {
        let Phase::Lingering { left, .. } = &mut self.phase else {
            return None;
        };
        match self.stream.read(buffer) {
            Ok(0) => Some(Ending::Done),
            Ok(count) => {
                *left = left.saturating_sub(count);
                (*left == 0).then_some(Ending::Done)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => Some(Ending::Failed(error)),
        }
    }

    /// When it will have taken too long.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Lingering { until, .. } => Some(until),
            Phase::Serving(_) => self.moved.checked_add(self.limit().1?),
        }
    }

    /// Which limit counts while it waits for what it waits for.
    fn limit(&self) -> (Limit, Option<Duration>) {
        if self.interest == Interest::READ {
            (Limit::Read, self.limits.read)
        } else {
            (Limit::Write, self.limits.write)
        }
    }

    /// Why it has to end, if it has taken too long.
    pub(super) fn expired(&self, now: Instant) -> Option<Ending> {
        self.due().filter(|due| *due <= now)?;
        Some(match (&self.phase, self.limit()) {
            (Phase::Serving(_), (limit, Some(span))) => Ending::TimedOut(limit, span),
            _ => Ending::Done,
        })
    }

    /// The server is about to end.
    pub(super) fn drain(&mut self) {
        if let Phase::Serving(session) = &mut self.phase {
            session.drain();
        }
    }

    /// Closes it, and says what it was.
    pub(super) fn close(self, ending: &Ending, now: Instant) {
        let milliseconds = now.saturating_duration_since(self.opened).as_millis();
        tracing::info!(
            peer = %self.stream,
            received = self.stream.bytes_received(),
            sent = self.stream.bytes_sent(),
            milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX),
            reason = %ending,
            "closed",
        );
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Done => f.write_str("done"),
            Ending::Failed(error) => error.fmt(f),
            Ending::TimedOut(limit, span) => write!(f, "{limit} timed out after {span:?}"),
            Ending::CutOff => f.write_str("cut off at the end of the drain"),
        }
    }
}

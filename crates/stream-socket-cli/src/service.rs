//! The small services of 1983, each as a state machine that never waits.
//!
//! Whoever drives them waits: [`Session::ready`] is called when the stream is ready for what was
//! last asked for, moves what can be moved at once, and says what to wait for next. All sessions
//! share the driver's one buffer; one holds memory of its own only while bytes wait in it to be
//! written. Over datagrams there is no state at all: [`Service::answer`].

mod attempt;
mod bound;
mod chargen;
mod daytime;
mod discard;
mod echo;
mod message;
mod qotd;
mod time;

use std::io;
use std::sync::Arc;

use stream_socket::{Interest, Stream};

pub(crate) use self::bound::largest_answer;
use self::chargen::Chargen;
pub(crate) use self::daytime::Daytime;
use self::discard::Discard;
use self::echo::Echo;
use self::message::Message;

/// What clients are answered.
#[derive(Debug)]
pub(crate) enum Service {
    /// RFC 867.
    Daytime(Daytime),
    /// RFC 868.
    Time,
    /// RFC 862.
    Echo,
    /// RFC 863.
    Discard,
    /// RFC 864.
    Chargen,
    /// RFC 865.
    Qotd,
}

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Call again when the stream is ready for this.
    Wait(Interest),
    /// Call again: there may be more to do at once.
    Again,
    /// All is sent. The connection is to be closed so that the peer gets it all.
    Finish,
}

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The answer is to be sent.
    Answer,
    /// The service gives no answers.
    Silence,
    /// The answer is larger than what was asked allows.
    TooLarge,
}

/// A connection's part in a service.
#[derive(Debug)]
pub(crate) enum Session {
    Message(Message),
    Echo(Echo),
    Discard(Discard),
    Chargen(Chargen),
}

impl Service {
    /// For a connection that has just been accepted.
    pub(crate) fn session(&self) -> Session {
        match self {
            Service::Daytime(daytime) => Session::Message(Message::new(daytime.line())),
            Service::Time => Session::Message(Message::new(Arc::new(time::now()))),
            Service::Qotd => Session::Message(Message::new(Arc::from(qotd::today().as_bytes()))),
            Service::Echo => Session::Echo(Echo::default()),
            Service::Discard => Session::Discard(Discard),
            Service::Chargen => Session::Chargen(Chargen::default()),
        }
    }

    /// Appends the answer to a datagram, of at most `limit` bytes, to `answer`, which is empty.
    pub(crate) fn answer(&self, asked: &[u8], limit: usize, answer: &mut Vec<u8>) -> Reply {
        match self {
            Service::Daytime(daytime) => answer.extend_from_slice(&daytime.line()),
            Service::Time => answer.extend_from_slice(&time::now()),
            Service::Qotd => answer.extend_from_slice(qotd::today().as_bytes()),
            Service::Echo => answer.extend_from_slice(asked),
            Service::Chargen => answer.extend_from_slice(chargen::datagram(asked.len(), limit)),
            Service::Discard => return Reply::Silence,
        }
        if answer.len() <= limit {
            Reply::Answer
        } else {
            Reply::TooLarge
        }
    }
}

impl Session {
    /// Goes on, now that the stream is ready for what was waited for.
    ///
    /// One read and one write at most, so that no connection keeps the others waiting. A read that
    /// did not fill the buffer was the last one for now, unless the peer `has_ended`, or said it
    /// over TLS.
    pub(crate) fn ready(
        &mut self,
        stream: &mut Stream,
        buffer: &mut [u8],
        has_ended: bool,
    ) -> io::Result<Next> {
        match self {
            Session::Message(message) => message.ready(stream),
            Session::Echo(echo) => echo.ready(stream, buffer, has_ended),
            Session::Discard(discard) => discard.ready(stream, buffer, has_ended),
            Session::Chargen(chargen) => chargen.ready(stream, buffer),
        }
    }

    /// The server is about to end: what would go on for ever comes to its end.
    pub(crate) fn drain(&mut self) {
        if let Session::Chargen(chargen) = self {
            chargen.drain();
        }
    }
}

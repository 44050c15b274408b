//! A connection that a program serves, from before the program's start until its end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stream_socket::engine::{Cause, Next, Turn, Wake};
use stream_socket::{ChildEnd, Interest, Place, Stream};

use super::program::{Program, is_lack};

/// How often a program is tried to be started where something lacked, and then looked at.
const AGAIN: Duration = Duration::from_millis(100);

/// How long a connection waits though nothing will be given back any more. Until then another
/// loop may have closed something.
const HOPE: Duration = Duration::from_secs(2);

/// A program that serves a connection.
pub(super) struct Running {
    /// `None` until it could be started.
    child: Option<Child>,
    watched: Watched,
    /// Kept until the program has ended, since the connection is as long.
    _place: Option<Place>,
    peer: String,
    opened: Instant,
    /// Last, since then the descriptors are closed.
    program: Released,
}

/// What the loop watches, which must be the same all the time.
#[expect(
    clippy::large_enum_variant,
    reason = "one for each running program, beside which it is nothing"
)]
enum Watched {
    /// The program's end.
    End(ChildEnd),
    /// Where the program could not be started at once there was no end to be watched: whether it
    /// has come is looked at by the clock.
    Socket(Stream),
}

/// The program of a connection, to be told when that has let go of its descriptors.
struct Released(Arc<Program>);

impl Drop for Released {
    fn drop(&mut self) {
        self.0.released();
    }
}

impl Running {
    /// Starts the program for a connection, now or when that is possible; `None` where it never
    /// will be, which is logged.
    pub(super) fn new(program: &Arc<Program>, mut stream: Stream) -> Option<Self> {
        let (peer, opened) = (stream.to_string(), Instant::now());
        let place = stream.take_place();
        let (result, lent) = program.start(&stream);
        let (child, watched) = match result {
            Ok(child) => {
                let watched = Watched::new(&child, stream);
                (Some(child), watched)
            }
            Err(error) if is_lack(&error) => {
                program.delayed(&error);
                (None, Watched::Socket(stream))
            }
            Err(error) => {
                program.failed(&peer, &error);
                return None;
            }
        };
        drop(lent);
        Some(Self {
            child,
            watched,
            _place: place,
            peer,
            opened,
            program: Released(Arc::clone(program)),
        })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.watched {
            Watched::End(end) => end.as_fd(),
            Watched::Socket(stream) => stream.as_fd(),
        }
    }

    /// Waits for the program's end, also while the server drains, and before that for its start.
    pub(super) fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
        let is_over = match (&self.watched, wake) {
            (Watched::End(_), Wake::Ready { .. }) => self.has_ended(),
            (Watched::Socket(_), Wake::Timer | Wake::Drain) if self.child.is_none() => {
                !self.start_late()
            }
            (Watched::Socket(_), Wake::Timer) => self.has_ended(),
            _ => false,
        };
        if is_over {
            return Next::Done;
        }
        match (&self.watched, wake) {
            (Watched::End(_), _) => Next::Wait(Interest::READ),
            // What the client does is the program's business, and is not to put off the timer.
            (Watched::Socket(_), Wake::Ready { .. }) => Next::Wait(Interest::default()),
            (Watched::Socket(_), _) => {
                turn.set_timer(Some(AGAIN));
                Next::Wait(Interest::default())
            }
        }
    }

    /// Tries once more to start the program; false when that is given up.
    fn start_late(&mut self) -> bool {
        let (program, Watched::Socket(stream)) = (&self.program.0, &self.watched) else {
            return true;
        };
        match program.start(stream).0 {
            Ok(child) => {
                self.child = Some(child);
                true
            }
            Err(error) if is_lack(&error) && !self.is_hopeless(&error) => {
                program.delayed(&error);
                true
            }
            Err(error) => {
                program.failed(&self.peer, &error);
                false
            }
        }
    }

    /// Whether it is better to give up than to wait for ever, together with all the others that
    /// hold the descriptors of which each needs two more.
    fn is_hopeless(&self, error: &io::Error) -> bool {
        self.opened.elapsed() >= HOPE && self.program.0.is_hopeless(error)
    }

    /// Whether the program has ended, which is logged.
    fn has_ended(&mut self) -> bool {
        let Some(child) = &mut self.child else {
            return false;
        };
        let status = match child.try_wait() {
            Ok(None) => return false,
            Ok(Some(status)) => status.to_string(),
            Err(error) => format!("unknown: {error}"),
        };
        self.close(&status);
        true
    }

    /// Kills the program, whose time is over.
    pub(super) fn given_up(&mut self, cause: Cause) {
        let reason = match cause {
            Cause::Lifetime => "its lifetime is over",
            _ => "cut off at the end of the drain",
        };
        let status = self
            .child
            .as_mut()
            .map_or_else(|| "not started".to_owned(), kill);
        self.close(&format!("{status}, {reason}"));
    }

    fn close(&self, status: &str) {
        let milliseconds = self.opened.elapsed().as_millis();
        tracing::info!(
            peer = %self.peer,
            process = self.child.as_ref().map(Child::id),
            status,
            milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX),
            "closed",
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.program.0.ended();
        }
    }
}

impl Watched {
    /// The program's end, and the socket is the program's alone; without a descriptor for that,
    /// the socket must do.
    fn new(child: &Child, stream: Stream) -> Self {
        ChildEnd::of(child).map_or(Watched::Socket(stream), Watched::End)
    }
}

fn kill(child: &mut Child) -> String {
    let ended = child.kill().and_then(|()| child.wait());
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}

//! A connection that a program serves, from before the program's start until its end.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use stream_socket::engine::{Cause, Next, Turn, Wake};
use stream_socket::{ChildEnd, Interest, Place, Stream};

use super::process::{AGAIN, Carried, Process};
use super::program::{Client, Program};

/// A program that serves a connection.
pub(super) struct Running {
    process: Process,
    watched: Watched,
    /// Kept until the program has ended, since the connection is as long.
    _place: Option<Place>,
    /// Last, since then the descriptors are closed.
    _program: Released,
}

/// What the loop watches, which must be the same all the time.
enum Watched {
    /// The program's end.
    End(ChildEnd),
    /// Where the program could not be started at once there was no end to be watched: whether it
    /// has come is looked at by the clock.
    Socket(Stream),
}

/// The program of a connection, to be told when that has let go of its descriptors.
pub(super) struct Released(pub(super) Arc<Program>);

impl Drop for Released {
    fn drop(&mut self) {
        self.0.released();
    }
}

impl Running {
    /// Starts the program for a connection, now or when that is possible; `None` where it never
    /// will be, which is logged.
    pub(super) fn new(program: &Arc<Program>, mut stream: Stream) -> Option<Self> {
        let place = stream.take_place();
        let (process, end) = Process::start(program, Client::over(&stream))?;
        Some(Self {
            process,
            watched: end.map_or(Watched::Socket(stream), Watched::End),
            _place: place,
            _program: Released(Arc::clone(program)),
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
        if let (Watched::Socket(stream), Wake::Timer | Wake::Drain) = (&self.watched, wake)
            && !self.process.start_late(Client::over(stream))
        {
            return Next::Done;
        }
        match (&self.watched, wake) {
            (Watched::End(_), Wake::Ready { .. }) | (Watched::Socket(_), Wake::Timer) => {
                if let Some(status) = self.process.ended() {
                    self.process.close(&status, &Carried::default());
                    return Next::Done;
                }
            }
            _ => {}
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

    /// Kills the program, whose time is over.
    pub(super) fn given_up(&mut self, cause: Cause) {
        let status = self.process.give_up(cause);
        self.process.close(&status, &Carried::default());
    }
}

//! What a loop drives: connections, sockets of datagrams, and programs.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use stream_socket::engine::{Cause, Next, Task, Turn, Wake};
use stream_socket::{ListenOptions, SocketAddress, Stream};

use super::Answerer;
use super::connection::Connection;
use super::correspondence::Correspondence;
use super::mailbox::Mailbox;
use super::program::Running;

/// What makes tasks of connections, in each loop.
#[derive(Clone)]
pub(super) struct Desk {
    answerer: Arc<Answerer>,
    own: Vec<SocketAddress>,
    /// Held by whatever newcomers can reach.
    open: Arc<Stream>,
}

impl Desk {
    pub(super) fn new(answerer: Arc<Answerer>, own: Vec<SocketAddress>, open: Arc<Stream>) -> Self {
        Self {
            answerer,
            own,
            open,
        }
    }

    /// A task for a connection; `None` where a program could not be started, which is logged.
    pub(super) fn serve(&self, stream: Stream, options: &ListenOptions) -> Option<Served> {
        match &*self.answerer {
            Answerer::Service(service) => {
                let connection = Connection::new(stream, service.session(), options);
                Some(Served::Connection(connection))
            }
            Answerer::Program(program) => program.start(stream).map(Served::Program),
        }
    }

    /// A task for a socket of datagrams.
    pub(super) fn mailbox(&self, mailbox: Mailbox) -> Box<Letters> {
        Box::new(Letters {
            mailbox,
            answerer: Arc::clone(&self.answerer),
            correspondence: Correspondence::new(self.own.clone()),
            _open: Arc::clone(&self.open),
        })
    }
}

/// What the engine drives.
pub(super) enum Served {
    Connection(Connection),
    Mailbox(Box<Letters>),
    Program(Running),
}

/// A socket of datagrams that are answered.
pub(super) struct Letters {
    mailbox: Mailbox,
    answerer: Arc<Answerer>,
    correspondence: Correspondence,
    _open: Arc<Stream>,
}

impl Letters {
    fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
        let Answerer::Service(service) = &*self.answerer else {
            return Next::Done;
        };
        while self.correspondence.answer(&mut self.mailbox, service) {
            if turn.is_over() {
                return Next::Yield;
            }
        }
        if wake == Wake::Drain || turn.is_draining() {
            self.mailbox.close();
            return Next::Done;
        }
        Next::Wait(stream_socket::Interest::READ)
    }
}

impl Task for Served {
    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Served::Connection(connection) => connection.descriptor(),
            Served::Mailbox(letters) => letters.mailbox.descriptor(),
            Served::Program(running) => running.descriptor(),
        }
    }

    fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
        match self {
            Served::Connection(connection) => connection.run(wake, turn),
            Served::Mailbox(letters) => letters.run(wake, turn),
            Served::Program(running) => running.run(wake),
        }
    }

    fn given_up(&mut self, cause: Cause) {
        match self {
            Served::Connection(connection) => connection.given_up(cause),
            Served::Mailbox(letters) => letters.mailbox.close(),
            Served::Program(running) => running.given_up(cause),
        }
    }
}

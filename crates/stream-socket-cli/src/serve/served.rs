//! What a loop drives: connections, sockets of datagrams, and programs.

use std::cell::RefCell;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::Arc;

use stream_socket::engine::{Cause, Next, Task, Turn, Wake};
use stream_socket::{DatagramSocket, ListenOptions, SocketAddress, Stream, Transport};

use super::Answerer;
use super::connection::Connection;
use super::conversation::Conversation;
use super::correspondence::Correspondence;
use super::dialogue::Dialogue;
use super::mailbox::{Mailbox, OTHER_SERVER};
use super::program::Program;
use super::running::Running;
use super::servers::Servers;
use crate::loops::{Live, LiveCount};

/// What makes tasks of connections, in each loop.
#[derive(Clone)]
pub(super) struct Desk {
    answerer: Arc<Answerer>,
    servers: Servers,
    live: LiveCount,
}

impl Desk {
    pub(super) fn new(answerer: Arc<Answerer>, own: Vec<SocketAddress>) -> Self {
        Self {
            answerer,
            servers: Servers::new(own),
            live: LiveCount::default(),
        }
    }

    /// The connections that all loops serve.
    pub(super) fn live(&self) -> &LiveCount {
        &self.live
    }

    /// Says whether another connection can be served now. What datagrams bring is received
    /// together with what newcomers send, so they are never left waiting. `open` is held as long
    /// as newcomers are accepted.
    pub(super) fn room(
        &self,
        transport: Transport,
        open: Arc<Stream>,
    ) -> impl Fn() -> bool + use<> {
        let answerer = Arc::clone(&self.answerer);
        move || {
            _ = &open;
            match &*answerer {
                Answerer::Program(program) => transport.is_datagram() || program.has_room(),
                Answerer::Service(_) => true,
            }
        }
    }

    /// A task for a connection; `None` where a program can't be started, which is logged.
    pub(super) fn serve(&self, stream: Stream, options: &ListenOptions) -> Option<Served> {
        match &*self.answerer {
            Answerer::Service(service) => Some(Served::Connection {
                connection: Connection::new(stream, service.session(), options),
                _live: self.live.enter(),
            }),
            Answerer::Program(program) => self.serve_by_program(program, stream),
        }
    }

    /// Apart from what a service needs, which is little of it.
    #[inline(never)]
    fn serve_by_program(&self, program: &Arc<Program>, stream: Stream) -> Option<Served> {
        let _live = self.live.enter();
        let transport = stream.transport();
        if transport.is_datagram() {
            let dialogue = self.begin(program, stream)?;
            return Some(Served::Dialogue { dialogue, _live });
        }
        if transport.is_tls() {
            let conversation = Conversation::new(program, stream).map(Box::new)?;
            return Some(Served::Conversation {
                conversation,
                _live,
            });
        }
        Running::new(program, stream).map(|running| Served::Program { running, _live })
    }

    /// Has a program answer a peer, unless that is a server.
    fn begin(&self, program: &Arc<Program>, peer: Stream) -> Option<Box<Dialogue>> {
        let asked = peer.local_addr().ok().flatten();
        let asked = asked.as_ref().and_then(SocketAddress::ip);
        let is_server = |address| self.servers.include(address, asked);
        if peer.peer_addr().is_some_and(is_server) {
            program.refuse(&peer, OTHER_SERVER);
            return None;
        }
        Dialogue::new(program, peer).map(Box::new)
    }

    /// Tasks for the sockets of datagrams of one loop, which answers one after the other. `open`
    /// is held as long as they receive.
    pub(super) fn mailboxes(
        &self,
        sockets: Vec<DatagramSocket>,
        open: &Arc<Stream>,
    ) -> Vec<Served> {
        if sockets.is_empty() {
            return Vec::new();
        }
        let correspondence = Rc::new(RefCell::new(Correspondence::new(self.servers.clone())));
        let letters = sockets.into_iter().map(|socket| Letters {
            mailbox: Mailbox::new(socket),
            answerer: Arc::clone(&self.answerer),
            correspondence: Rc::clone(&correspondence),
            _open: Arc::clone(open),
        });
        letters.map(Box::new).map(Served::Mailbox).collect()
    }
}

/// What the engine drives.
pub(super) enum Served {
    Connection {
        connection: Connection,
        _live: Live,
    },
    Mailbox(Box<Letters>),
    Program {
        running: Running,
        _live: Live,
    },
    Dialogue {
        dialogue: Box<Dialogue>,
        _live: Live,
    },
    Conversation {
        conversation: Box<Conversation>,
        _live: Live,
    },
}

/// A socket of datagrams that are answered.
pub(super) struct Letters {
    mailbox: Mailbox,
    answerer: Arc<Answerer>,
    correspondence: Rc<RefCell<Correspondence>>,
    _open: Arc<Stream>,
}

impl Letters {
    fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
        let Answerer::Service(service) = &*self.answerer else {
            return Next::Done;
        };
        let mut correspondence = self.correspondence.borrow_mut();
        while correspondence.answer(&mut self.mailbox, service) {
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
            Served::Connection { connection, .. } => connection.descriptor(),
            Served::Mailbox(letters) => letters.mailbox.descriptor(),
            Served::Program { running, .. } => running.descriptor(),
            Served::Dialogue { dialogue, .. } => dialogue.descriptor(),
            Served::Conversation { conversation, .. } => conversation.descriptor(),
        }
    }

    fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
        match self {
            Served::Connection { connection, .. } => connection.run(wake, turn),
            Served::Mailbox(letters) => letters.run(wake, turn),
            Served::Program { running, .. } => running.run(wake, turn),
            Served::Dialogue { dialogue, .. } => dialogue.run(wake, turn),
            Served::Conversation { conversation, .. } => conversation.run(wake, turn),
        }
    }

    fn is_stalled(&self) -> bool {
        matches!(self, Served::Connection { connection, .. } if connection.is_stalled())
    }

    fn is_moving(&mut self) -> bool {
        match self {
            Served::Connection { connection, .. } => connection.is_moving(),
            _ => false,
        }
    }

    fn given_up(&mut self, cause: Cause) {
        match self {
            Served::Connection { connection, .. } => connection.given_up(cause),
            Served::Mailbox(letters) => letters.mailbox.close(),
            Served::Program { running, .. } => running.given_up(cause),
            Served::Dialogue { dialogue, .. } => dialogue.given_up(cause),
            Served::Conversation { conversation, .. } => conversation.given_up(cause),
        }
    }
}

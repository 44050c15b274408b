//! Where datagrams come in: a socket, and what became of them.

use std::os::fd::{AsFd, BorrowedFd};

use stream_socket::{DatagramSocket, SocketAddress};

/// A datagram socket with its counters.
pub(super) struct Mailbox {
    socket: DatagramSocket,
    received: u64,
    /// Receives that failed, one after the other.
    failures: u32,
    answered: u64,
    refused: [u64; Refusal::ALL.len()],
}

/// Why a datagram got no answer, where the service has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Unnamed,
    OtherServer,
    Truncated,
    TooLarge,
    Unsendable,
    Unproxied,
}

/// Whoever sends from such a port, or claims to.
pub(super) const OTHER_SERVER: &str = "it is a server like this one, and would answer the answer";

impl Refusal {
    const ALL: [Refusal; 6] = [
        Refusal::Unnamed,
        Refusal::OtherServer,
        Refusal::Truncated,
        Refusal::TooLarge,
        Refusal::Unsendable,
        Refusal::Unproxied,
    ];

    fn reason(self) -> &'static str {
        match self {
            Refusal::Unnamed => "the peer has no name to answer to",
            Refusal::OtherServer => OTHER_SERVER,
            Refusal::Truncated => "the datagram is larger than 64 KiB",
            Refusal::TooLarge => "the answer is more than three times as large as what was asked",
            Refusal::Unsendable => "the answer could not be sent",
            Refusal::Unproxied => "it begins with no header of a proxy that is believed",
        }
    }
}

impl Mailbox {
    pub(super) fn new(mut socket: DatagramSocket) -> Self {
        socket.set_blocking(false);
        Self {
            socket,
            received: 0,
            failures: 0,
            answered: 0,
            refused: [0; Refusal::ALL.len()],
        }
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn socket(&self) -> &DatagramSocket {
        &self.socket
    }

    pub(super) fn received(&mut self, datagrams: usize) {
        self.received += datagrams as u64;
        self.failures = 0;
    }

    /// Counts a receive that failed; how many that were in a row.
    pub(super) fn failed(&mut self) -> u32 {
        self.failures += 1;
        self.failures
    }

    /// Nothing is there to be received.
    pub(super) fn exhausted(&mut self) {
        self.failures = 0;
    }

    pub(super) fn answered(&mut self, datagrams: usize) {
        self.answered += datagrams as u64;
    }

    /// Counts what is not answered; the first of its kind is logged, since whoever sends a million
    /// of them is not to fill the log.
    pub(super) fn refuse(
        &mut self,
        refusal: Refusal,
        peer: Option<&SocketAddress>,
        error: Option<&stream_socket::Error>,
    ) {
        let count = &mut self.refused[refusal as usize];
        *count += 1;
        if *count > 1 {
            return;
        }
        let peer = peer.map(tracing::field::display);
        let error = error.map(tracing::field::display);
        let reason = refusal.reason();
        let url = &self.socket;
        tracing::warn!(%url, peer, reason, error, others = "only counted", "refused");
    }

    /// Says what it did, before it is closed.
    pub(super) fn close(&self) {
        tracing::info!(
            url = %self.socket,
            received = self.received,
            answered = self.answered,
            refused = self.refused.iter().sum::<u64>(),
            "closed",
        );
    }
}

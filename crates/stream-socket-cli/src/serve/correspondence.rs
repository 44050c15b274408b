//! Datagrams that are answered, many at a time.

use std::io::ErrorKind;

use stream_socket::{Batch, Datagram, SocketAddress};

use super::mailbox::{Mailbox, Refusal};
use crate::service::{Reply, Service, largest_answer};

/// Datagrams moved by one system call at most: what the library moves at once.
const BATCH: usize = 64;

/// The largest datagram of IPv4 and IPv6 has less.
const ROOM: usize = 64 * 1024;

/// The ports of the services that answer whatever comes: echo, discard, daytime, qotd, chargen,
/// time. Two servers would answer each other for ever (CERT CA-1996-01).
const SERVICE_PORTS: [u16; 6] = [7, 9, 13, 17, 19, 37];

/// What all sockets share to receive into and to answer from.
pub(super) struct Correspondence {
    asked: Batch,
    answers: Answers,
}

struct Answers {
    batch: Batch,
    /// The one that is being made.
    answer: Vec<u8>,
    /// The addresses of our own sockets: what comes from there is an answer.
    own: Vec<SocketAddress>,
}

impl Correspondence {
    /// For sockets of which `own` are the addresses.
    pub(super) fn new(own: Vec<SocketAddress>) -> Self {
        Self {
            asked: Batch::new(BATCH, ROOM),
            answers: Answers {
                batch: Batch::new(BATCH, ROOM),
                answer: Vec::new(),
                own,
            },
        }
    }

    /// Answers what has come to one socket, a batch at most, so that the others have their turn;
    /// whether there may be more.
    pub(super) fn answer(&mut self, mailbox: &mut Mailbox, service: &Service) -> bool {
        match mailbox.socket().recv_batch(&mut self.asked) {
            Ok(count) => mailbox.received(count),
            Err(error) if error.io_kind() == ErrorKind::WouldBlock => return false,
            Err(error) => {
                tracing::warn!(url = %mailbox.socket(), reason = %error, "a datagram is lost");
                return false;
            }
        }
        for datagram in self.asked.iter() {
            self.answers.add(&datagram, mailbox, service);
        }
        self.answers.send(mailbox);
        true
    }
}

impl Answers {
    fn add(&mut self, datagram: &Datagram<'_>, mailbox: &mut Mailbox, service: &Service) {
        let Some(peer) = datagram.peer else {
            if !matches!(service, Service::Discard) {
                mailbox.refuse(Refusal::Unnamed, None, None);
            }
            return;
        };
        let limit = largest_answer(datagram.payload.len(), peer);
        self.answer.clear();
        let refusal = match service.answer(datagram.payload, limit, &mut self.answer) {
            Reply::Silence => return,
            _ if self.is_server(datagram, peer) => Refusal::OtherServer,
            _ if datagram.is_truncated() => Refusal::Truncated,
            Reply::TooLarge => Refusal::TooLarge,
            Reply::Answer => match self.put(mailbox, datagram, peer) {
                Ok(()) => return,
                Err(error) => return mailbox.refuse(Refusal::Unsendable, Some(peer), Some(&error)),
            },
        };
        mailbox.refuse(refusal, Some(peer), None);
    }

    /// Whether an answer would be answered.
    fn is_server(&self, datagram: &Datagram<'_>, peer: &SocketAddress) -> bool {
        let Some(port) = peer.port() else {
            return self.own.contains(peer);
        };
        let asked = datagram.local.map(|local| local.ip.to_canonical());
        let is_here = peer.ip().map(|ip| ip.to_canonical()) == asked;
        let is_ours = || self.own.iter().any(|own| own.port() == Some(port));
        SERVICE_PORTS.contains(&port) || (is_here && is_ours())
    }

    /// Adds the answer to those that are sent together.
    ///
    /// Answers over udg are sent one by one: the queue of a unix peer that is full stops the
    /// sender, and in a batch it would stop the answers to all the others.
    fn put(
        &mut self,
        mailbox: &mut Mailbox,
        datagram: &Datagram<'_>,
        peer: &SocketAddress,
    ) -> stream_socket::Result<()> {
        let local = datagram.local;
        if mailbox.socket().transport().is_unix() {
            mailbox.socket().send_to(&self.answer, peer, local)?;
            mailbox.answered(1);
            return Ok(());
        }
        if let Err(error) = self.batch.push(&self.answer, peer, local) {
            if !self.batch.is_full() {
                return Err(error);
            }
            // Answers that don't travel together, as the questions did, need more room.
            self.send(mailbox);
            return self.batch.push(&self.answer, peer, local);
        }
        Ok(())
    }

    /// Sends the answers. One that can't be sent is dropped: to wait would delay all the others.
    fn send(&mut self, mailbox: &mut Mailbox) {
        while !self.batch.is_empty() {
            let before = self.batch.len();
            match mailbox.socket().send_batch(&mut self.batch) {
                Ok(count) => mailbox.answered(count),
                Err(error) => {
                    let unsent = self.batch.len();
                    let is_full = error.io_kind() == ErrorKind::WouldBlock;
                    // One that the system refuses has been taken out of the batch.
                    let lost = if is_full { unsent } else { 1 };
                    mailbox.answered((before - unsent).saturating_sub(usize::from(!is_full)));
                    (0..lost).for_each(|_| mailbox.refuse(Refusal::Unsendable, None, Some(&error)));
                    if is_full {
                        self.batch.clear();
                    }
                }
            }
        }
    }
}

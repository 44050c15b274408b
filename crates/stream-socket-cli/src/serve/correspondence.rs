//! Datagrams that are answered, many at a time.

use std::collections::VecDeque;
use std::io::ErrorKind;

use stream_socket::{Batch, Datagram, SocketAddress};

use super::mailbox::{Mailbox, Refusal};
use super::servers::Servers;
use crate::service::{Reply, Service, largest_answer};

/// Datagrams moved by one system call at most: what the library moves at once.
const BATCH: usize = 64;

/// The largest datagram of IPv4 and IPv6 has less.
const ROOM: usize = 64 * 1024;

/// Failed receives in a row after which a socket is left alone until something new comes: more
/// than the errors of a socket that has something to say, fewer than would spin.
const FAILURES: u32 = 16;

/// What all sockets of a loop share to receive into and to answer from.
pub(super) struct Correspondence {
    asked: Batch,
    answers: Answers,
}

struct Answers {
    batch: Batch,
    /// The one that is being made.
    answer: Vec<u8>,
    servers: Servers,
    destinations: Destinations,
}

/// Where the answers in a batch go, in order: answers in a row to one peer, and how many.
#[derive(Default)]
struct Destinations(VecDeque<(SocketAddress, usize)>);

impl Correspondence {
    /// For sockets that don't answer `servers`.
    pub(super) fn new(servers: Servers) -> Self {
        Self {
            asked: Batch::new(BATCH, ROOM),
            answers: Answers {
                batch: Batch::new(BATCH, ROOM),
                answer: Vec::new(),
                servers,
                destinations: Destinations::default(),
            },
        }
    }

    /// Answers what has come to one socket, a batch at most, so that the others have their turn;
    /// whether there may be more.
    pub(super) fn answer(&mut self, mailbox: &mut Mailbox, service: &Service) -> bool {
        match mailbox.socket().recv_batch(&mut self.asked) {
            Ok(count) => mailbox.received(count),
            Err(error) if error.io_kind() == ErrorKind::WouldBlock => {
                mailbox.exhausted();
                return false;
            }
            Err(error) => {
                tracing::warn!(url = %mailbox.socket(), reason = %error, "a datagram is lost");
                // Others may be queued behind it, of which no edge will tell.
                let goes_on = mailbox.failed() < FAILURES;
                if !goes_on {
                    mailbox.exhausted();
                }
                return goes_on;
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
        let Some((payload, _)) = mailbox.socket().without_header(datagram) else {
            return mailbox.refuse(Refusal::Unproxied, Some(peer), None);
        };
        let limit = largest_answer(payload.len(), peer);
        self.answer.clear();
        let refusal = match service.answer(payload, limit, &mut self.answer) {
            Reply::Silence => return,
            _ if self
                .servers
                .include(peer, datagram.local.map(|local| local.ip)) =>
            {
                Refusal::OtherServer
            }
            _ if datagram.is_truncated() => Refusal::Truncated,
            Reply::TooLarge => Refusal::TooLarge,
            Reply::Answer => match self.put(mailbox, datagram, peer) {
                Ok(()) => return,
                Err(error) => return mailbox.refuse(Refusal::Unsendable, Some(peer), Some(&error)),
            },
        };
        mailbox.refuse(refusal, Some(peer), None);
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
            self.batch.push(&self.answer, peer, local)?;
        }
        self.destinations.add(peer);
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
                    let gone = before - unsent;
                    let to_the_last = self.destinations.take(gone);
                    let is_full = error.io_kind() == ErrorKind::WouldBlock;
                    // Those that the system refuses have been taken out of the batch, the last of
                    // what is gone. They travelled together, so they were for one peer.
                    let lost = if is_full { unsent } else { to_the_last };
                    mailbox.answered(if is_full { gone } else { gone - lost });
                    (0..lost).for_each(|_| mailbox.refuse(Refusal::Unsendable, None, Some(&error)));
                    if is_full {
                        self.batch.clear();
                    }
                }
            }
        }
        self.destinations.0.clear();
    }
}

impl Destinations {
    fn add(&mut self, peer: &SocketAddress) {
        match self.0.back_mut() {
            Some((last, count)) if last == peer => *count += 1,
            _ => self.0.push_back((peer.clone(), 1)),
        }
    }

    /// Takes out the first `count`; how many of them, at the end, go to one peer.
    fn take(&mut self, mut count: usize) -> usize {
        let mut taken = 0;
        while count > 0
            && let Some((_, there)) = self.0.front_mut()
        {
            taken = count.min(*there);
            *there -= taken;
            count -= taken;
            if *there == 0 {
                self.0.pop_front();
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_goes_to_the_last_peer() {
        let [one, other] = ["192.0.2.1:9", "192.0.2.2:9"]
            .map(|address| SocketAddress::Inet(address.parse().unwrap()));
        let mut destinations = Destinations::default();
        for peer in [&one, &one, &other, &other, &other, &one] {
            destinations.add(peer);
        }
        // Two went to the one, and three to the other, of which two are taken at first.
        assert_eq!(destinations.take(4), 2);
        assert_eq!(destinations.take(1), 1);
        assert_eq!(destinations.take(0), 0);
        assert_eq!(destinations.take(9), 1);
    }
}

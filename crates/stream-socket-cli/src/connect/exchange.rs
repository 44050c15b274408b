//! Both directions at once: one thread, one `select`, and no write that could wait.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use stream_socket::{Interest, Limit, Member, Stream, Transport, select};

use super::channel::Channel;
use super::patience::{Expiry, Limits, Patience, Waiting};
use super::progress::{Moved, Progress};
use super::standard::Standard;
use crate::failure::Failure;

/// What one read of the input brings at most.
const CHUNK_BYTES: usize = 64 * 1024;

/// The most that IPv4 carries in a datagram: 65,535 less 20 and 8 bytes of headers.
const UDP_BYTES: usize = 65_507;

/// Room for what is received. A unix datagram may be as large as its sender's buffer, which is
/// 208 KiB unless the sender asked for more.
const RECEIVE_BYTES: usize = 256 * 1024;

/// A socket and the standard streams, and what is under way between them.
pub(crate) struct Exchange {
    stream: Stream,
    standard: Standard,
    to_peer: Channel,
    from_peer: Channel,
    patience: Patience,
    progress: Option<Progress>,
    has_sent: bool,
    /// Bytes that the system held for the peer when it took no more, or when it was last looked.
    queued: usize,
    /// The peer is to be told that nothing more comes, for which over TLS there may be no room yet.
    owes_the_end: bool,
    /// Nobody reads our output any more.
    reader_has_gone: bool,
}

/// What a round found ready.
#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    input: bool,
    output: bool,
    reader_has_gone: bool,
    receive: bool,
    send: bool,
}

/// Whether the exchange goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    GoesOn,
    IsOver,
}

impl Exchange {
    pub(crate) fn new(
        mut stream: Stream,
        standard: Standard,
        limits: Limits,
        is_quiet: bool,
    ) -> Self {
        stream.set_blocking(false);
        let now = Instant::now();
        let chunk = if stream.transport() == Transport::Udp {
            UDP_BYTES
        } else {
            CHUNK_BYTES
        };
        Self {
            to_peer: Channel::new(chunk),
            from_peer: Channel::new(RECEIVE_BYTES),
            patience: Patience::new(limits, now),
            progress: Progress::new(standard.is_redirected, is_quiet, now),
            has_sent: false,
            queued: 0,
            owes_the_end: false,
            reader_has_gone: false,
            stream,
            standard,
        }
    }

    /// Goes on until both directions have ended, or it is given up.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        while !self.is_over() {
            let ready = self.wait()?;
            if self.round(ready, Instant::now())? == Course::IsOver {
                break;
            }
        }
        Ok(())
    }

    /// Datagrams have no end but silence.
    fn is_over(&self) -> bool {
        self.from_peer.is_finished() && self.has_finished_sending()
    }

    fn has_finished_sending(&self) -> bool {
        self.to_peer.is_finished() && !self.owes_the_end
    }

    fn wants_to_send(&self) -> bool {
        !self.to_peer.is_empty() || self.owes_the_end
    }

    fn is_datagram(&self) -> bool {
        self.stream.transport().is_datagram()
    }

    fn waiting(&self) -> Waiting {
        let has_one_end = if self.is_datagram() {
            self.to_peer.is_finished()
        } else {
            self.from_peer.has_ended()
        };
        Waiting {
            // A peer that is slow to take what is left is not silent.
            is_almost_over: has_one_end && self.from_peer.is_empty() && self.to_peer.is_empty(),
            to_receive: self.from_peer.wants_more(),
            to_send: self.wants_to_send(),
        }
    }

    /// Waits until something can move, or a limit has passed.
    fn wait(&mut self) -> Result<Ready, Failure> {
        let now = Instant::now();
        let expiry = self
            .patience
            .next(self.waiting())
            .map(|(instant, _)| instant);
        let progress = self.progress.as_ref().map(|progress| progress.due(now));
        let due = expiry.into_iter().chain(progress).min();
        let ready = self.select(due.map(|due| due.saturating_duration_since(now)))?;
        if let Some(progress) = &mut self.progress {
            let (sent, received) = (self.stream.bytes_sent(), self.stream.bytes_received());
            progress.show(Moved { sent, received }, Instant::now());
        }
        Ok(ready)
    }

    /// Only what is of interest is looked at: a hang-up that nobody asked for ends every wait.
    fn select(&self, timeout: Option<Duration>) -> Result<Ready, Failure> {
        let (input, output) = (self.standard.input.as_fd(), self.standard.output.as_fd());
        let (to_receive, to_send) = (self.from_peer.wants_more(), self.wants_to_send());
        let to_write = !self.from_peer.is_empty();
        let watches_reader =
            !to_write && !self.reader_has_gone && self.standard.tells_when_unread();
        let wanted = [
            (
                self.to_peer.wants_more(),
                Place::Input,
                Member::new(&input, Interest::READ),
            ),
            (
                to_write,
                Place::Output,
                Member::new(&output, Interest::WRITE),
            ),
            (
                watches_reader,
                Place::Reader,
                Member::new(&output, Interest::READ),
            ),
            (
                to_receive,
                Place::Receive,
                Member::new(&self.stream, Interest::READ),
            ),
            (
                to_send,
                Place::Send,
                Member::new(&self.stream, Interest::WRITE),
            ),
        ];
        let wanted = wanted.into_iter().filter(|(is_wanted, ..)| *is_wanted);
        let (places, mut members): (Vec<_>, Vec<_>) =
            wanted.map(|(_, place, member)| (place, member)).unzip();
        match select(&mut members, timeout) {
            Err(error) if error.io_kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        let mut ready = Ready::default();
        for (place, member) in places.into_iter().zip(&members) {
            ready.mark(place, member.readiness().any());
        }
        Ok(ready)
    }

    /// Moves what can be moved.
    fn round(&mut self, ready: Ready, now: Instant) -> Result<Course, Failure> {
        if ready.input {
            self.read_input(now)?;
        }
        if !self.to_peer.is_empty() && (ready.send || ready.input) {
            self.send(now)?;
        }
        if self.owes_the_end && ready.send {
            self.tell_the_end()?;
        }
        if ready.receive {
            self.receive(now)?;
        }
        if ready.output && self.write_output(now)? == Course::IsOver {
            return Ok(Course::IsOver);
        }
        self.reader_has_gone |= ready.reader_has_gone;
        if self.reader_has_gone && self.has_finished_sending() {
            return Ok(Course::IsOver);
        }
        self.expire(now)
    }

    fn read_input(&mut self, now: Instant) -> Result<(), Failure> {
        match self.standard.input.read(self.to_peer.room()) {
            Ok(0) => self.end_input(now),
            Ok(count) => {
                self.to_peer.filled(count);
                self.patience.taken(now);
                Ok(())
            }
            Err(error) if may_be_tried_again(&error) => Ok(()),
            Err(error) => Err(Failure::System(
                "cannot read standard input".to_owned(),
                error,
            )),
        }
    }

    /// Tells the peer that nothing more comes.
    fn end_input(&mut self, now: Instant) -> Result<(), Failure> {
        self.to_peer.end();
        self.patience.moved(now);
        if self.is_datagram() {
            return self.ask_with_nothing();
        }
        self.tell_the_end()
    }

    fn tell_the_end(&mut self) -> Result<(), Failure> {
        let result = self.stream.shutdown(Shutdown::Write);
        let failed = |kind| matches!(&result, Err(error) if error.io_kind() == kind);
        self.owes_the_end = failed(ErrorKind::WouldBlock);
        // A peer that has reset the connection: the next read tells.
        if self.owes_the_end || failed(ErrorKind::NotConnected) {
            return Ok(());
        }
        Ok(result?)
    }

    /// An input without a byte is one empty datagram.
    fn ask_with_nothing(&mut self) -> Result<(), Failure> {
        if self.has_sent {
            return Ok(());
        }
        self.stream.set_blocking(true);
        self.stream.set_write_timeout(self.patience.write_timeout());
        let result = self.stream.write(&[]);
        self.stream.set_blocking(false);
        result.map(drop).map_err(Failure::of_stream)
    }

    fn send(&mut self, now: Instant) -> Result<(), Failure> {
        match self.stream.write(self.to_peer.bytes()) {
            Ok(count) => {
                self.to_peer.written(count);
                self.patience.taken(now);
                self.has_sent = true;
            }
            Err(error) if may_be_tried_again(&error) => {}
            Err(error) => return Err(Failure::of_stream(error)),
        }
        if !self.to_peer.is_empty() {
            self.queued = self.stream.bytes_queued();
        }
        Ok(())
    }

    /// Whether a slow peer has taken something of what it has yet to take.
    fn is_taking(&mut self) -> bool {
        let before = std::mem::replace(&mut self.queued, self.stream.bytes_queued());
        self.wants_to_send() && self.queued < before
    }

    fn receive(&mut self, now: Instant) -> Result<(), Failure> {
        match self.stream.read(self.from_peer.room()) {
            Ok(0) if !self.is_datagram() => self.from_peer.end(),
            Ok(count) => self.from_peer.filled(count),
            Err(error) if may_be_tried_again(&error) => return Ok(()),
            Err(error) => return Err(Failure::of_stream(error)),
        }
        self.patience.received(now);
        Ok(())
    }

    fn write_output(&mut self, now: Instant) -> Result<Course, Failure> {
        let bytes = self.from_peer.bytes();
        let count = bytes.len().min(self.standard.writable_bytes());
        match self.standard.output.write(&bytes[..count]) {
            Ok(count) => {
                self.from_peer.written(count);
                self.patience.moved(now);
                Ok(Course::GoesOn)
            }
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Course::IsOver),
            Err(error) if may_be_tried_again(&error) => Ok(Course::GoesOn),
            Err(error) => Err(Failure::System(
                "cannot write to standard output".to_owned(),
                error,
            )),
        }
    }

    /// Ends it if a limit has passed.
    fn expire(&mut self, now: Instant) -> Result<Course, Failure> {
        let expiry = self.patience.next(self.waiting());
        match expiry.filter(|(instant, _)| *instant <= now) {
            None => Ok(Course::GoesOn),
            Some((_, Expiry::Silence(_) | Expiry::Limit(Limit::Write, _))) if self.is_taking() => {
                self.patience.taken(now);
                Ok(Course::GoesOn)
            }
            Some((_, Expiry::Over)) => Ok(Course::IsOver),
            Some((_, Expiry::Silence(span))) => Err(Failure::Silence(format!(
                "gave up on {}: nothing moved either way for {span:?}",
                self.stream
            ))),
            Some((_, Expiry::Limit(limit, span))) => Err(Failure::Silence(format!(
                "gave up on {}: {limit} timed out after {span:?}",
                self.stream
            ))),
        }
    }
}

/// What was waited for in one round.
#[derive(Clone, Copy, Debug)]
enum Place {
    Input,
    Output,
    /// The output, for its reader to go.
    Reader,
    Receive,
    Send,
}

impl Ready {
    fn mark(&mut self, place: Place, is_ready: bool) {
        let field = match place {
            Place::Input => &mut self.input,
            Place::Output => &mut self.output,
            Place::Reader => &mut self.reader_has_gone,
            Place::Receive => &mut self.receive,
            Place::Send => &mut self.send,
        };
        *field = is_ready;
    }
}

/// Standard input and output may be non-blocking: whoever shares them decides that.
fn may_be_tried_again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

//! Random bytes both ways between a client and a target, and what a seed does to them: short reads
//! and writes, stalls, ends of one direction, and breaks. Every byte is compared.

use std::collections::VecDeque;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use socket2::SockRef;
use stream_socket::{Interest, Member, Stream, Transport, select};

use crate::support::LIMIT;

/// The most that is read or written at once.
const MOST: usize = 256 * 1024;

/// A datagram may be no longer over udp, and a relay may make one of several writes.
const MOST_OF_A_DATAGRAM: usize = 16 * 1024;

/// What may be under way where a socket with a full queue would lose datagrams: the one of all
/// clients has 208 KiB by default, of which a datagram takes more than its bytes.
const WINDOW: Window = Window {
    writes: 8,
    bytes: 20_000,
};

/// How long somebody does not read, at most.
const STALL: u64 = 30;

/// SplitMix64: all that is random comes from a seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Random(u64);

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// A length for a read or write: mostly long, for the work to get done, and often short.
    fn length(&mut self, most: usize) -> usize {
        let most = match self.below(4) {
            0 => most.min(64),
            1 => most.min(4096),
            _ => most,
        };
        1 + self.below(most as u64) as usize
    }
}

fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Random bytes without end, which can be had from any place on.
#[derive(Clone, Copy, Debug)]
struct Content(u64);

impl Content {
    fn fill(self, at: u64, target: &mut [u8]) {
        let mut place = at / 8;
        let mut skipped = (at % 8) as usize;
        let mut rest = target;
        while !rest.is_empty() {
            let word = mix(self.0.wrapping_add(place.wrapping_mul(GAMMA))).to_ne_bytes();
            let count = rest.len().min(8 - skipped);
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(&word[skipped..skipped + count]);
            (rest, place, skipped) = (later, place + 1, 0);
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Window {
    writes: usize,
    bytes: u64,
}

/// How much goes each way, and whether one side breaks off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) up: u64,
    pub(super) down: u64,
    /// Who does so, 0 for the client, when it has sent so much.
    pub(super) breaks: Option<(usize, u64)>,
}

/// One of the two.
struct End {
    /// Gone once it has broken off.
    stream: Option<Stream>,
    transport: Transport,
    random: Random,
    content: Content,
    sent: u64,
    total: u64,
    breaks_at: Option<u64>,
    /// Whether it has said that it sends no more.
    has_finished: bool,
    /// Whether it was told that nobody takes any more.
    is_refused: bool,
    /// Whether it was so told of a reset, which the system tells once: a read then finds an end.
    was_reset: bool,
    received: u64,
    /// How what it receives has ended, if it has.
    ended: Option<Result<(), ErrorKind>>,
    next_stall: u64,
    sleeps_until: Option<Instant>,
}

impl End {
    fn new(stream: Stream, seed: u64, total: u64) -> Self {
        Self {
            transport: stream.transport(),
            stream: Some(stream),
            random: Random::new(seed),
            content: Content(seed),
            sent: 0,
            total,
            breaks_at: None,
            has_finished: false,
            is_refused: false,
            was_reset: false,
            received: 0,
            ended: None,
            next_stall: 0,
            sleeps_until: None,
        }
    }

    fn is_datagram(&self) -> bool {
        self.transport.is_datagram()
    }

    fn wants_to_send(&self) -> bool {
        self.stream.is_some() && self.sent < self.total && !self.is_refused
    }

    fn sleeps(&self) -> bool {
        self.sleeps_until
            .is_some_and(|until| until > Instant::now())
    }

    fn wants_to_receive(&self) -> bool {
        self.stream.is_some() && self.ended.is_none() && !self.sleeps()
    }

    /// Whether its transport can say that an end is no good one.
    fn tells_breaks(&self) -> bool {
        !matches!(self.transport, Transport::Unix) && !self.is_datagram()
    }

    /// Sends up to so many bytes; how many, unless it has to wait.
    fn send(&mut self, most: u64) -> Option<usize> {
        let most = most.min(self.total - self.sent).min(MOST as u64) as usize;
        let most = if self.is_datagram() {
            most.min(MOST_OF_A_DATAGRAM)
        } else {
            most
        };
        let mut bytes = vec![0; self.random.length(most).min(most)];
        self.content.fill(self.sent, &mut bytes);
        match self.stream.as_mut()?.write(&bytes) {
            Ok(count) => {
                self.sent += count as u64;
                Some(count)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => {
                self.is_refused = true;
                self.was_reset = error.kind() == ErrorKind::ConnectionReset;
                None
            }
        }
    }

    /// Says that nothing more comes, where that can be said; whether it has.
    fn finish(&mut self) -> bool {
        let is_datagram = self.is_datagram();
        let Some(stream) = self.stream.as_mut().filter(|_| !is_datagram) else {
            self.has_finished = true;
            return true;
        };
        self.has_finished = match stream.shutdown(Shutdown::Write) {
            Err(error) => error.io_kind() != ErrorKind::WouldBlock,
            Ok(()) => true,
        };
        self.has_finished
    }

    /// Leaves without an end: by a reset, or over TLS without close_notify.
    fn break_off(&mut self) {
        let Some(stream) = self.stream.take() else {
            return;
        };
        let socket = stream.as_fd().try_clone_to_owned().unwrap();
        if self.transport.is_tls() {
            // It could not be sent any more.
            SockRef::from(&socket).shutdown(Shutdown::Both).unwrap();
        } else if self.tells_breaks() {
            SockRef::from(&socket)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
        drop(stream);
    }

    /// Receives something; how much, or nothing if it has to wait.
    fn receive(&mut self, other: Content, due: u64) -> Result<Option<usize>, String> {
        let mut bytes = vec![0; self.random.length(MOST)];
        let Some(stream) = self.stream.as_mut() else {
            return Ok(None);
        };
        match stream.read(&mut bytes) {
            Ok(0) => self.ended = Some(Ok(())),
            Ok(count) => {
                let mut expected = vec![0; count];
                other.fill(self.received, &mut expected);
                self.received += count as u64;
                if bytes[..count] != expected {
                    let at = (0..count).find(|at| bytes[*at] != expected[*at]);
                    let what = "other bytes came than were sent";
                    let place = self.received - (count - at.unwrap_or(0)) as u64;
                    return Err(format!("{what}, in {count} from {place} on"));
                }
                self.maybe_stall(due);
                return Ok(Some(count));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => self.ended = Some(Err(error.kind())),
        }
        Ok(Some(0))
    }

    fn maybe_stall(&mut self, due: u64) {
        if self.received >= self.next_stall {
            let pause = Duration::from_millis(self.random.below(STALL));
            self.sleeps_until = Some(Instant::now() + pause);
            let most = (due / 4).clamp(1, 16 << 20);
            self.next_stall = self.received + most / 4 + self.random.below(most);
        }
    }
}

/// The client's end and the target's.
pub(super) struct Conversation {
    ends: [End; 2],
    plan: Plan,
    /// Of each direction where datagrams may be lost: where the writes that are under way end.
    under_way: Option<[VecDeque<u64>; 2]>,
}

impl Conversation {
    /// Begins one: the client says something, so that a relay of datagrams knows of it, and
    /// `accept` gives the target.
    pub(super) fn begin(
        client: Stream,
        accept: impl FnOnce() -> Stream,
        has_datagrams: bool,
        seed: u64,
        plan: Plan,
    ) -> Self {
        let mut client = End::new(client, seed, plan.up);
        while client.send(1000).is_none() {
            assert!(!client.is_refused, "nobody takes what the client says");
        }
        let mut target = accept();
        target.set_blocking(false);
        // Over udp it is given a socket of its own, now rather than while others are busy: what is
        // on its way then may come in another order.
        _ = target.as_fd();
        if let Some(stream) = client.stream.as_mut() {
            stream.set_blocking(false);
        }
        let mut ends = [client, End::new(target, seed ^ u64::MAX, plan.down)];
        if let Some((who, at)) = plan.breaks {
            ends[who].breaks_at = Some(at);
        }
        let first = VecDeque::from([ends[0].sent]);
        Self {
            ends,
            plan,
            under_way: has_datagrams.then(|| [first, VecDeque::new()]),
        }
    }

    /// What goes on; whether anything did.
    pub(super) fn step(&mut self) -> Result<bool, String> {
        let mut has_moved = false;
        for who in [0, 1] {
            has_moved |= self.send(who) | self.receive(who)?;
            self.ends[who]
                .sleeps_until
                .take_if(|until| *until <= Instant::now());
        }
        Ok(has_moved)
    }

    fn send(&mut self, who: usize) -> bool {
        let received = self.ends[1 - who].received;
        let end = &mut self.ends[who];
        if end.breaks_at.is_some_and(|at| end.sent >= at) && end.stream.is_some() {
            end.break_off();
            return true;
        }
        if end.stream.is_some() && !end.wants_to_send() && !end.has_finished {
            return end.finish();
        }
        let mut most = MOST as u64;
        if let Some(under_way) = &mut self.under_way {
            let writes = &mut under_way[who];
            while writes.front().is_some_and(|last| *last <= received) {
                writes.pop_front();
            }
            if writes.len() >= WINDOW.writes {
                return false;
            }
            most = WINDOW.bytes.saturating_sub(end.sent - received);
        }
        if most == 0 || !end.wants_to_send() || end.send(most).is_none() {
            return false;
        }
        if let Some(under_way) = &mut self.under_way {
            under_way[who].push_back(end.sent);
        }
        true
    }

    fn receive(&mut self, who: usize) -> Result<bool, String> {
        let (content, due) = (self.ends[1 - who].content, self.ends[1 - who].total);
        let end = &mut self.ends[who];
        if !end.wants_to_receive() {
            return Ok(false);
        }
        match end.receive(content, due)? {
            None => Ok(false),
            Some(_) if end.ended.is_none() => Ok(true),
            Some(_) => self.judge(who).map(|()| true),
        }
    }

    /// Whether the end that came is what should have come.
    fn judge(&self, who: usize) -> Result<(), String> {
        let (end, other) = (&self.ends[who], &self.ends[1 - who]);
        let is_whole = end.received == other.total;
        match (&end.ended, self.plan.breaks) {
            (Some(Ok(())), None) if is_whole => Ok(()),
            (Some(Ok(())), Some(_)) if is_whole && other.has_finished => Ok(()),
            (Some(Ok(())), Some(_)) if end.was_reset => Ok(()),
            (Some(Ok(())), Some(_)) if end.tells_breaks() && other.tells_breaks() => {
                Err("a part was handed on as the whole".to_owned())
            }
            (_, Some(_)) => Ok(()),
            (ended, None) => Err(format!("ended with {ended:?}")),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        let is_over = |who: usize| {
            let (end, other) = (&self.ends[who], &self.ends[1 - who]);
            let has_sent = end.has_finished || end.is_refused;
            let is_told = end.ended.is_some()
                || ((end.is_datagram() || other.is_datagram()) && end.received == other.total);
            end.stream.is_none() || (has_sent && is_told)
        };
        is_over(0) && is_over(1)
    }

    /// Adds what is waited for.
    fn members<'a>(&'a self, members: &mut Vec<Member<'a>>) {
        for (who, end) in self.ends.iter().enumerate() {
            let Some(stream) = &end.stream else {
                continue;
            };
            let is_free = self.under_way.as_ref().is_none_or(|under_way| {
                let bytes = end.sent - self.ends[1 - who].received;
                under_way[who].len() < WINDOW.writes && bytes < WINDOW.bytes
            });
            let sends = end.wants_to_send() && is_free || !end.has_finished && !end.is_refused;
            match (end.wants_to_receive(), sends && is_free) {
                (true, true) => {
                    members.push(Member::new(stream, Interest::READ.and(Interest::WRITE)))
                }
                (true, false) => members.push(Member::new(stream, Interest::READ)),
                (false, true) => members.push(Member::new(stream, Interest::WRITE)),
                (false, false) => {}
            }
        }
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.plan)?;
        for (name, end) in ["client", "target"].iter().zip(&self.ends) {
            write!(
                f,
                "; {name}: sent {} of {}, finished {}, refused {}, received {}, ended {:?}",
                end.sent, end.total, end.has_finished, end.is_refused, end.received, end.ended
            )?;
        }
        Ok(())
    }
}

/// Holds all of them at once, to their ends.
pub(super) fn hold(conversations: &mut [Conversation]) -> Result<(), String> {
    let mut last = Instant::now();
    while !conversations.iter().all(Conversation::is_over) {
        let mut has_moved = false;
        for conversation in conversations.iter_mut() {
            let step = conversation.step();
            has_moved |= step.map_err(|error| format!("{error}: {conversation:?}"))?;
        }
        if has_moved {
            last = Instant::now();
            continue;
        }
        if last.elapsed() > LIMIT {
            return Err(format!("nothing moves any more: {conversations:?}"));
        }
        let mut members = Vec::new();
        conversations
            .iter()
            .filter(|conversation| !conversation.is_over())
            .for_each(|conversation| conversation.members(&mut members));
        // Who sleeps is woken by nobody.
        select(&mut members, Some(Duration::from_millis(2))).map_err(|error| error.to_string())?;
    }
    Ok(())
}

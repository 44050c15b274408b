//! Bytes one way through a relay, on one stream or many: the row `relay-bulk`.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Opener, Pair};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::socket::PATIENCE_SECONDS;
use crate::turn::Work;

/// The most that one call sends or receives.
pub(super) const CHUNK: usize = 256 * 1024;
/// After so many bytes the content begins anew: a prime, so that no buffer's size divides it.
const PERIOD: usize = 65_521;
/// What each stream carries before anything is counted: windows have grown by then, and a relay has
/// seen what kind of stream it is.
pub(super) const FIRST_BYTES: u64 = 2 << 20;
/// The unit of the report, so that a minute's count fits it.
pub(super) const MEGABYTE: u64 = 1_000_000;

/// A stream, and how far its two ends are.
#[derive(Debug)]
struct Flow {
    pair: Pair,
    sent: u64,
    received: u64,
    /// Where in the content it has begun, which tells it from the others.
    offset: u64,
}

/// What all streams carry.
#[derive(Debug)]
pub(super) struct Content(Vec<u8>);

impl Content {
    pub(super) fn new() -> Self {
        let byte = |index: usize| {
            let mixed = (index % PERIOD).wrapping_mul(2_654_435_761);
            (mixed >> 13) as u8
        };
        Self((0..PERIOD + CHUNK).map(byte).collect())
    }

    /// The chunk that begins there.
    pub(super) fn at(&self, position: u64) -> &[u8] {
        let place = (position % PERIOD as u64) as usize;
        &self.0[place..place + CHUNK]
    }
}

impl Flow {
    fn send(&mut self, content: &Content) -> Result<bool, Failure> {
        let count = self
            .pair
            .client
            .send_some(content.at(self.offset + self.sent))?;
        self.sent += count as u64;
        Ok(count > 0)
    }

    fn receive(&mut self, content: &Content, buffer: &mut [u8]) -> Result<bool, Failure> {
        let count = self.pair.target.receive_some(buffer)?;
        if buffer[..count] != content.at(self.offset + self.received)[..count] {
            let place = self.received;
            return Err(Failure::new(format!(
                "wrong bytes came through in the {count} from {place} on"
            )));
        }
        self.received += count as u64;
        Ok(count > 0)
    }
}

/// Moves bytes as long as `wants_more`, then what is under way.
fn carry(
    flows: &mut [Flow],
    content: &Content,
    mut wants_more: impl FnMut(&[Flow]) -> bool,
) -> Result<(), Failure> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let sends = wants_more(flows);
        if !sends && flows.iter().all(|flow| flow.received == flow.sent) {
            return Ok(());
        }
        let mut has_moved = false;
        for flow in &mut *flows {
            has_moved |= sends && flow.send(content)?;
            has_moved |= flow.receive(content, &mut buffer)?;
        }
        if !has_moved {
            wait(flows, sends)?;
        }
    }
}

/// Until any stream can go on.
fn wait(flows: &[Flow], sends: bool) -> Result<(), Failure> {
    let mut waits: Vec<PollFd<'_>> = flows
        .iter()
        .map(|flow| PollFd::new(flow.pair.target.descriptor(), PollFlags::POLLIN))
        .collect();
    if sends {
        waits.extend(
            flows
                .iter()
                .map(|flow| PollFd::new(flow.pair.client.descriptor(), PollFlags::POLLOUT)),
        );
    }
    let patience = PollTimeout::try_from(PATIENCE_SECONDS * 1000).unwrap_or(PollTimeout::NONE);
    match poll(&mut waits, patience) {
        Ok(0) => Err(Failure::new(format!(
            "nothing came through for {PATIENCE_SECONDS} s"
        ))),
        result => result
            .map(drop)
            .map_err(|errno| Failure::call("poll", errno)),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let pairs = Opener::new(arguments)?.open_all()?;
    let flow = |(number, pair)| Flow {
        pair,
        sent: 0,
        received: 0,
        offset: number as u64 * 997,
    };
    let mut flows: Vec<Flow> = pairs.into_iter().enumerate().map(flow).collect();
    let content = Content::new();
    let is_first = |flows: &[Flow]| flows.iter().any(|flow| flow.sent < FIRST_BYTES);
    carry(&mut flows, &content, is_first)?;

    let total = |flows: &[Flow]| flows.iter().map(|flow| flow.received).sum::<u64>();
    let mut told = total(&flows);
    Work::in_turns(arguments.span()?, |work| {
        carry(&mut flows, &content, |_| work.has_time())?;
        // What is less than a unit counts the next time.
        let units = (total(&flows) - told) / MEGABYTE;
        told += units * MEGABYTE;
        Ok(units)
    })
}

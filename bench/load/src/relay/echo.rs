//! Round trips through a relay: the row `relay-echo`.

use super::Opener;
use crate::arguments::Arguments;
use crate::echo::{Client, answer};
use crate::failure::Failure;
use crate::socket::Connection;
use crate::turn::Work;

/// A client, and what answers it behind the relay.
#[derive(Debug)]
pub(super) struct Far {
    client: Client,
    target: Connection,
}

impl Far {
    pub(super) fn open(opener: &Opener<'_>, number: u32, size: usize) -> Result<Self, Failure> {
        let pair = opener.open()?;
        Ok(Self {
            client: Client::new(pair.client, number, size),
            target: pair.target,
        })
    }

    pub(super) fn whole_round(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        self.client.ask()?;
        answer(&self.target, buffer)?;
        self.client.hear(buffer)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let size: usize = arguments.number("--size")?;
    let connections: u32 = arguments.number("--connections")?;
    let mut buffer = vec![0; size];
    let opener = Opener::new(arguments)?;
    let mut all = Vec::new();
    for number in 0..connections {
        let mut far = Far::open(&opener, number, size)?;
        far.whole_round(&mut buffer)?;
        all.push(far);
    }
    Work::in_turns(arguments.span()?, |work| {
        ask_and_answer(&mut all, work, &mut buffer)
    })
}

/// Round trips for as long as there is time, and until none is under way; how many.
fn ask_and_answer(all: &mut [Far], work: &Work, buffer: &mut [u8]) -> Result<u64, Failure> {
    let mut count = 0;
    for far in &mut *all {
        far.client.ask()?;
    }
    while work.has_time() {
        for far in &*all {
            answer(&far.target, buffer)?;
        }
        for far in &mut *all {
            far.client.hear(buffer)?;
            far.client.ask()?;
            count += 1;
        }
    }
    for far in &mut *all {
        answer(&far.target, buffer)?;
        far.client.hear(buffer)?;
        count += 1;
    }
    Ok(count)
}

//! Connections through a relay that carry a message each way and end: the row `relay-connections`.

use std::collections::VecDeque;

use super::Opener;
use crate::arguments::Arguments;
use crate::echo::{Client, answer};
use crate::failure::Failure;
use crate::socket::Connection;
use crate::turn::Work;

/// Those under way, oldest first. The relay may bring them in another order, so the oldest client is
/// asked for its answer only when half of the others have had theirs.
#[derive(Debug)]
struct UnderWay {
    clients: VecDeque<Client>,
    unanswered: usize,
    /// Answered, and ended in the one direction.
    targets: VecDeque<Connection>,
    size: usize,
}

impl UnderWay {
    fn begin(&mut self, opener: &Opener<'_>, number: u32) -> Result<(), Failure> {
        let mut client = Client::new(opener.open_client()?, number, self.size);
        client.ask()?;
        self.clients.push_back(client);
        self.unanswered += 1;
        Ok(())
    }

    fn answer(&mut self, opener: &Opener<'_>, buffer: &mut [u8]) -> Result<(), Failure> {
        let target = opener.accept()?;
        answer(&target, &mut buffer[..self.size])?;
        target.finish()?;
        self.targets.push_back(target);
        self.unanswered -= 1;
        Ok(())
    }

    /// The answer and the end have to come through; then the client resets, and the target too.
    fn end(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        if let Some(client) = self.clients.pop_front() {
            client.hear(buffer)?;
        }
        drop(self.targets.pop_front());
        Ok(())
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let size: usize = arguments.number("--size")?;
    let most: usize = arguments.number("--connections")?;
    // One byte more than the answer has: what is received ends with the stream.
    let mut buffer = vec![0; size + 1];
    let opener = Opener::new(arguments)?;
    let mut under_way = UnderWay {
        clients: VecDeque::with_capacity(most + 1),
        unanswered: 0,
        targets: VecDeque::with_capacity(most + 1),
        size,
    };
    Work::in_turns(arguments.span()?, |work| {
        let mut count = 0;
        while work.goes_on() {
            under_way.begin(&opener, count)?;
            count += 1;
            if under_way.unanswered > most / 2 {
                under_way.answer(&opener, &mut buffer)?;
            }
            if under_way.clients.len() > most {
                under_way.end(&mut buffer)?;
            }
        }
        while under_way.unanswered > 0 {
            under_way.answer(&opener, &mut buffer)?;
        }
        while !under_way.clients.is_empty() {
            under_way.end(&mut buffer)?;
        }
        Ok(u64::from(count))
    })
}

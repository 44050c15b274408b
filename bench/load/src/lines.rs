//! Connections that are told a line and closed: the rows `accept` and `spawn`.

use std::collections::VecDeque;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::reply::Sample;
use crate::socket::Connection;
use crate::turn::Work;

/// How much longer than the sample a line may be: its numbers may have gained digits.
pub(crate) const SLACK: usize = 16;

/// Keeps so many connections under way; the oldest is read to its end, then a new one opened.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let connections: usize = arguments.number("--connections")?;
    let sample = Sample::new(arguments.text("--sample")?.as_bytes());
    let mut buffer = vec![0; sample.len() + SLACK];
    let mut under_way = VecDeque::with_capacity(connections);
    Work::in_turns(arguments.span()?, |work| {
        let mut count = 0;
        while work.goes_on() {
            if under_way.len() == connections
                && let Some(oldest) = under_way.pop_front()
            {
                check(&oldest, &sample, &mut buffer)?;
                count += 1;
            }
            under_way.push_back(Connection::open(arguments.address)?);
        }
        for connection in under_way.drain(..) {
            check(&connection, &sample, &mut buffer)?;
            count += 1;
        }
        Ok(count)
    })
}

pub(crate) fn check(
    connection: &Connection,
    sample: &Sample,
    buffer: &mut [u8],
) -> Result<(), Failure> {
    let length = connection.receive_all(buffer)?;
    if sample.is_like(&buffer[..length]) {
        return Ok(());
    }
    let got = buffer[..length].escape_ascii();
    Err(Failure::new(format!("the reply is wrong: \"{got}\"")))
}

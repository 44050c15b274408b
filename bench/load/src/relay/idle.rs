//! Pairs that have had one round trip and then say nothing: the row `relay-idle`.

use std::time::Duration;

use super::echo::Far;
use super::{MESSAGE_BYTES, Opener};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::turn::Work;

/// The work is to open them; the relay is sampled before and after.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let connections: u32 = arguments.number("--connections")?;
    let mut buffer = [0; MESSAGE_BYTES];
    let opener = Opener::new(arguments)?;
    let work = Work::begin(Duration::ZERO)?;
    let mut all = Vec::new();
    for number in 0..connections {
        let mut far = Far::open(&opener, number, MESSAGE_BYTES)?;
        far.whole_round(&mut buffer)?;
        all.push(far);
    }
    work.end(all.len() as u64)
}

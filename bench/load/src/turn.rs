//! Whose turn it is, the benchmark's or ours, and what the work took.

use std::io::{self, BufRead, Read, Write};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::failure::Failure;

/// The work under way. The clock is read once in so many turns: it is no part of the work.
const TURNS_PER_LOOK: u32 = 16;

#[derive(Debug)]
pub(crate) struct Work {
    start: Instant,
    processor: Duration,
    end: Instant,
    turns: u32,
}

impl Work {
    /// Says that all is set up, and begins when the benchmark says so.
    pub(crate) fn begin(span: Duration) -> Result<Self, Failure> {
        say("ready")?;
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        if !matches!(read, Ok(length) if length > 0) {
            return Err(Failure::new("the benchmark is gone"));
        }
        let start = Instant::now();
        Ok(Self {
            start,
            processor: processor_time()?,
            end: start + span,
            turns: 0,
        })
    }

    /// Whether there is time for one more turn.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.turns = self.turns.wrapping_add(1);
        !self.turns.is_multiple_of(TURNS_PER_LOOK) || Instant::now() < self.end
    }

    /// Tells what was done, and returns once the benchmark has seen enough.
    pub(crate) fn end(self, units: u64) -> Result<(), Failure> {
        let wall = self.start.elapsed().as_nanos();
        let processor = (processor_time()? - self.processor).as_nanos();
        say(&format!("done units={units} wall={wall} cpu={processor}"))?;
        // It says nothing more; its end of the pipe goes.
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        Ok(())
    }
}

fn say(line: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .map_err(|error| Failure::new(format!("the benchmark is gone: {error}")))
}

fn processor_time() -> Result<Duration, Failure> {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .map(Duration::from)
        .map_err(|errno| Failure::call("read the clock", errno))
}

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
    /// What is to be told instead of the whole: the wall and the processor time of some parts.
    parts: Option<[Duration; 2]>,
}

impl Work {
    /// Says that all is set up, and begins when the benchmark says so.
    pub(crate) fn begin(span: Duration) -> Result<Self, Failure> {
        say("ready")?;
        Self::when_told(span)?.ok_or_else(|| Failure::new("the benchmark is gone"))
    }

    /// Works, a span at a time, as often as the benchmark says so; `turn` returns what it has done,
    /// with nothing under way any more. The connections stand meanwhile.
    pub(crate) fn in_turns(
        span: Duration,
        mut turn: impl FnMut(&mut Self) -> Result<u64, Failure>,
    ) -> Result<(), Failure> {
        let mut next = Some(Self::begin(span)?);
        while let Some(mut work) = next {
            let units = turn(&mut work)?;
            work.tell(units)?;
            next = Self::when_told(span)?;
        }
        Ok(())
    }

    /// Begins when the benchmark says so; `None` when it has seen enough.
    fn when_told(span: Duration) -> Result<Option<Self>, Failure> {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        if !matches!(read, Ok(length) if length > 0) {
            return Ok(None);
        }
        let start = Instant::now();
        Ok(Some(Self {
            start,
            processor: processor_time()?,
            end: start + span,
            turns: 0,
            parts: None,
        }))
    }

    /// Whether there is time for one more turn.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.turns = self.turns.wrapping_add(1);
        !self.turns.is_multiple_of(TURNS_PER_LOOK) || self.has_time()
    }

    /// The same for turns that take long enough to look at the clock each time.
    pub(crate) fn has_time(&self) -> bool {
        Instant::now() < self.end
    }

    /// Only what happens in here counts as time that passed.
    pub(crate) fn part(
        &mut self,
        action: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (start, processor) = (Instant::now(), processor_time()?);
        action()?;
        let [wall, processor_sum] = self.parts.unwrap_or_default();
        self.parts = Some([
            wall + start.elapsed(),
            processor_sum + (processor_time()? - processor),
        ]);
        Ok(())
    }

    /// Tells what was done, and returns once the benchmark has seen enough.
    pub(crate) fn end(self, units: u64) -> Result<(), Failure> {
        self.tell(units)?;
        // It says nothing more; its end of the pipe goes.
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        Ok(())
    }

    fn tell(&self, units: u64) -> Result<(), Failure> {
        let whole = [self.start.elapsed(), processor_time()? - self.processor];
        let [wall, processor] = self.parts.unwrap_or(whole).map(|span| span.as_nanos());
        say(&format!("done units={units} wall={wall} cpu={processor}"))
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

//! A case measured: every contender once a round, round after round.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ground::{Ground, SLICES};
use super::load::{Load, Work};
use super::network::Network;
use super::row::{Case, Contender, DIRECT, Measure, Probe};
use super::server::Server;

/// One contender in one round, or in a slice of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) work: Work,
    /// Processor time of the server and of all it started.
    pub(super) server: Duration,
    /// How much its memory grew, in bytes, where that is the question.
    pub(super) growth: i64,
}

/// One contender in all rounds.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) name: &'static str,
    pub(super) command: Vec<String>,
    pub(super) configuration: String,
    pub(super) samples: Vec<Sample>,
    pub(super) trouble: Option<Trouble>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    /// It was not tried.
    Absent(String),
    /// It was tried; what it did before counts for nothing.
    Failed(String),
}

impl Sample {
    /// What is still under way at the end of a slice counts in the next one, so that only their
    /// sum tells what was done for what.
    fn add(&mut self, slice: &Self) {
        self.work.units += slice.work.units;
        self.work.wall += slice.work.wall;
        self.work.processor += slice.work.processor;
        self.server += slice.server;
        self.growth += slice.growth;
    }

    /// What it says of that contender, all slices together.
    fn of(self, name: &str) -> Result<Self, String> {
        if name == DIRECT {
            // It has no server, but what stands in for it is there.
            let server = Duration::ZERO;
            return Ok(Self { server, ..self });
        }
        if self.server.is_zero() {
            return Err("the server's processor time did not grow".into());
        }
        Ok(self)
    }

    /// The figure that the case asks for: units a processor second, or KB a unit.
    pub(super) fn figure(&self, measure: Measure) -> f64 {
        match measure {
            Measure::Rate(_) => f64::from(self.work.units) / self.server.as_secs_f64(),
            Measure::Memory(_) => self.growth as f64 / 1024.0 / f64::from(self.work.units),
        }
    }

    pub(super) fn per_wall_second(&self) -> f64 {
        f64::from(self.work.units) / self.work.wall.as_secs_f64()
    }

    /// The part of its core that the server was busy for.
    pub(super) fn server_share(&self) -> f64 {
        self.server.as_secs_f64() / self.work.wall.as_secs_f64()
    }

    pub(super) fn load_share(&self) -> f64 {
        self.work.processor.as_secs_f64() / self.work.wall.as_secs_f64()
    }
}

impl Outcome {
    pub(super) fn figures(&self, measure: Measure) -> Vec<f64> {
        self.samples
            .iter()
            .map(|sample| sample.figure(measure))
            .collect()
    }

    /// What came of an attempt at it. What it did before it first failed counts for nothing.
    fn noting<T>(&mut self, attempt: impl FnOnce(&Self) -> Result<T, String>) -> Option<T> {
        match attempt(self) {
            Ok(done) => Some(done),
            Err(reason) => {
                self.samples.clear();
                self.trouble.get_or_insert(Trouble::Failed(reason));
                None
            }
        }
    }

    pub(super) fn walls(&self) -> Vec<f64> {
        self.samples.iter().map(Sample::per_wall_second).collect()
    }
}

/// Measures the case; `folder` takes what the processes complain of.
pub(super) fn case(ground: &Ground, case: &Case, folder: &Path) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = case.contenders.iter().map(outcome).collect();
    let (at_once, slices) = if case.is_sliced {
        (outcomes.len(), SLICES)
    } else {
        (1, 1)
    };
    for round in 0..ground.form.runs {
        // Nobody is always the first, or always behind the same.
        let mut order: Vec<usize> = (0..outcomes.len()).collect();
        order.rotate_left(round % outcomes.len().max(1));
        for places in order.chunks(at_once.max(1)) {
            take_turns(ground, case, &mut outcomes, places, slices, folder);
        }
    }
    outcomes
}

/// Samples those at `places`, all of whom stand at once, by turns.
fn take_turns(
    ground: &Ground,
    case: &Case,
    outcomes: &mut [Outcome],
    places: &[usize],
    slices: usize,
    folder: &Path,
) {
    let mut standing = Vec::new();
    for &place in places {
        let outcome = &mut outcomes[place];
        if outcome.trouble.is_none()
            && let Some(one) =
                outcome.noting(|outcome| Standing::start(ground, case, outcome, folder))
        {
            standing.push((place, one));
        }
    }
    let mut sums = vec![Sample::default(); standing.len()];
    for slice in 0..slices {
        for turn in 0..standing.len() {
            let index = (turn + slice) % standing.len();
            let (place, one) = &mut standing[index];
            let outcome = &mut outcomes[*place];
            if outcome.trouble.is_none()
                && let Some(sample) = outcome.noting(|_| one.sample(ground, case))
            {
                sums[index].add(&sample);
            }
        }
    }
    for ((place, one), sum) in standing.into_iter().zip(sums) {
        let outcome = &mut outcomes[place];
        let ended = outcome.noting(|outcome| one.end().and_then(|()| sum.of(outcome.name)));
        if outcome.trouble.is_none() {
            outcome.samples.extend(ended);
        }
    }
}

fn outcome(contender: &Contender) -> Outcome {
    let (command, trouble) = match &contender.command {
        Ok(command) => (command.clone(), None),
        Err(reason) => (Vec::new(), Some(Trouble::Absent(reason.clone()))),
    };
    Outcome {
        name: contender.name,
        command,
        configuration: contender.configuration.clone(),
        samples: Vec::new(),
        trouble,
    }
}

/// A contender's server, with the load that is ready to work.
struct Standing {
    server: Server,
    load: Load,
    /// What was seen last of the server: what it does between two slices counts in the next one.
    seen: Seen,
}

#[derive(Clone, Copy)]
struct Seen {
    processor: Duration,
    memory: i64,
}

impl Standing {
    fn start(
        ground: &Ground,
        case: &Case,
        outcome: &Outcome,
        folder: &Path,
    ) -> Result<Self, String> {
        let complaints = |who: &str| folder.join(format!("{}-{who}.log", outcome.name));
        let network = match case.probe {
            Probe::Relay => Some(Network::make(ground, &complaints("network"))?),
            _ => None,
        };
        let mut server = Server::start(ground, outcome, network, folder)?;
        let answer = server.probe(case.probe)?;
        let mut words = case.load.clone();
        if case.probe == Probe::Line {
            words.extend(["--sample".into(), answer.unwrap_or_default()]);
            words.extend(["--server".into(), server.process()?.to_string()]);
        }
        if case.probe == Probe::Relay {
            words.extend(["--target".into(), server.target().to_string()]);
        }
        let load = Load::start(ground, &server, &words, &complaints("load"))
            .map_err(|reason| server.blame(&reason))?;
        let seen = look(case, &server).map_err(|reason| server.blame(&reason))?;
        Ok(Self { server, load, seen })
    }

    fn sample(&mut self, ground: &Ground, case: &Case) -> Result<Sample, String> {
        let worked = self.load.work(ground.form.span);
        let (work, now) = worked
            .and_then(|work| Ok((work, look(case, &self.server)?)))
            .map_err(|reason| self.server.blame(&reason))?;
        let before = std::mem::replace(&mut self.seen, now);
        Ok(Sample {
            work,
            server: now.processor.saturating_sub(before.processor),
            growth: now.memory - before.memory,
        })
    }

    fn end(self) -> Result<(), String> {
        self.load.end()?;
        self.server.end()
    }
}

/// Looks at a server once it has settled.
fn look(case: &Case, server: &Server) -> Result<Seen, String> {
    let processor = server.settled_processor_time()?;
    let memory = match case.measure {
        Measure::Memory(_) => server.memory()?.cast_signed(),
        // Processes come and go, and can't be looked into while they do.
        Measure::Rate(_) => 0,
    };
    Ok(Seen { processor, memory })
}

/// Where the processes of a case write what they complain of.
pub(super) fn folder(target: &Path, row: &str) -> Result<PathBuf, String> {
    let folder = target.join(row);
    fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::bench) fn sampled(units: u32, server: u64, growth: i64) -> Sample {
        Sample {
            work: Work {
                units,
                wall: Duration::from_millis(1000),
                processor: Duration::from_millis(900),
            },
            server: Duration::from_millis(server),
            growth,
        }
    }

    #[test]
    fn figures_are_per_processor_second_or_per_unit() {
        let sample = sampled(1000, 250, 2_048_000);
        assert_eq!(sample.figure(Measure::Rate("x")), 4000.0);
        assert_eq!(sample.figure(Measure::Memory("x")), 2.0);
        assert_eq!(sample.per_wall_second(), 1000.0);
        assert_eq!(sample.server_share(), 0.25);
        assert_eq!(sample.load_share(), 0.9);
    }

    #[test]
    fn slices_add_up_to_a_sample() {
        let mut sum = Sample::default();
        for (units, server) in [(100, 10), (500, 90)] {
            sum.add(&sampled(units, server, 0));
        }
        assert_eq!(sum.figure(Measure::Rate("x")), 6000.0);
        assert_eq!(sum.per_wall_second(), 300.0);
    }

    #[test]
    fn an_absent_contender_has_its_reason() {
        let outcome = outcome(&Contender::absent("x", "not here"));
        assert_eq!(outcome.trouble, Some(Trouble::Absent("not here".into())));
    }
}

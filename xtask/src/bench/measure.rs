//! A case measured: every contender once a round, round after round.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ground::Ground;
use super::load::{Load, Work};
use super::network::Network;
use super::row::{Case, Contender, DIRECT, Measure, Probe};
use super::server::Server;

/// One contender in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
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

    pub(super) fn walls(&self) -> Vec<f64> {
        self.samples.iter().map(Sample::per_wall_second).collect()
    }
}

/// Measures the case; `folder` takes what the processes complain of.
pub(super) fn case(ground: &Ground, case: &Case, folder: &Path) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = case.contenders.iter().map(outcome).collect();
    for round in 0..ground.form.runs {
        for turn in 0..outcomes.len() {
            // Nobody is always the first, or always behind the same.
            let index = (turn + round) % outcomes.len();
            let outcome = &mut outcomes[index];
            if outcome.trouble.is_some() {
                continue;
            }
            match sample(ground, case, outcome, folder) {
                Ok(sample) => outcome.samples.push(sample),
                Err(reason) => {
                    outcome.samples.clear();
                    outcome.trouble = Some(Trouble::Failed(reason));
                }
            }
        }
    }
    outcomes
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

fn sample(
    ground: &Ground,
    case: &Case,
    outcome: &Outcome,
    folder: &Path,
) -> Result<Sample, String> {
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
    let mut load = Load::start(ground, &server, &words, &complaints("load"))
        .map_err(|reason| server.blame(&reason))?;
    let sample = work(ground, case, &server, &mut load).map_err(|reason| server.blame(&reason))?;
    let sample = match sample {
        // It has no server, but what stands in for it is there.
        sample if outcome.name == DIRECT => Sample {
            server: Duration::ZERO,
            ..sample
        },
        sample if sample.server.is_zero() => {
            return Err("the server's processor time did not grow".into());
        }
        sample => sample,
    };
    load.end()?;
    server.end()?;
    Ok(sample)
}

fn work(ground: &Ground, case: &Case, server: &Server, load: &mut Load) -> Result<Sample, String> {
    let memory = || match case.measure {
        Measure::Memory(_) => server.memory().map(u64::cast_signed),
        // Processes come and go, and can't be looked into while they do.
        Measure::Rate(_) => Ok(0),
    };
    let start = (server.settled_processor_time()?, memory()?);
    let work = load.work(ground.form.span)?;
    let end = (server.settled_processor_time()?, memory()?);
    Ok(Sample {
        work,
        server: end.0.saturating_sub(start.0),
        growth: end.1 - start.1,
    })
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
    fn an_absent_contender_has_its_reason() {
        let outcome = outcome(&Contender::absent("x", "not here"));
        assert_eq!(outcome.trouble, Some(Trouble::Absent("not here".into())));
    }
}

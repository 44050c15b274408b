//! The load, `bench-load`: it says `ready`, works when it is told to, and says what it has done.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::ChildStdout;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use super::ground::Ground;
use super::pinned::Pinned;
use super::server::Server;

/// How long it may take until all connections stand, and beyond its time until all is answered.
const PATIENCE: Duration = Duration::from_secs(30);
const END_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Load {
    process: Pinned,
    lines: Receiver<String>,
}

/// What it has done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Work {
    pub(super) units: u32,
    pub(super) wall: Duration,
    /// The load's own processor time.
    pub(super) processor: Duration,
}

impl Load {
    /// Starts it against `server`, and returns when it is ready.
    pub(super) fn start(
        ground: &Ground,
        server: &Server,
        words: &[String],
        complaints: &Path,
    ) -> Result<Self, String> {
        let (mode, flags) = words.split_first().ok_or("the row names no load")?;
        let mut line = server.enter();
        line.push(ground.load.to_string_lossy().into_owned());
        line.extend([mode.clone(), server.address().to_string()]);
        line.extend_from_slice(flags);
        let mut process = Pinned::start(ground.cores[1], &line, complaints)?;
        let output = process.take_output().ok_or("the load has no output")?;
        let lines = read_lines(output);
        let mut load = Self { process, lines };
        match load.hear(PATIENCE, "ready")?.as_str() {
            "ready" => Ok(load),
            other => Err(format!("the load said `{other}`, not `ready`")),
        }
    }

    /// Has it work, which takes it `span` or, if all there is to do is to connect, what it takes.
    pub(super) fn work(&mut self, span: Duration) -> Result<Work, String> {
        self.process
            .write_line()
            .map_err(|error| self.blame(&format!("the load is gone: {error}")))?;
        let line = self.hear(span + PATIENCE, "done")?;
        parse_work(&line).ok_or_else(|| format!("the load said `{line}`, not what it has done"))
    }

    /// Has it close its connections and end.
    pub(super) fn end(mut self) -> Result<(), String> {
        self.process.end(END_PATIENCE).map(drop)
    }

    fn hear(&mut self, patience: Duration, what: &str) -> Result<String, String> {
        self.lines.recv_timeout(patience).map_err(|_| {
            let seconds = patience.as_secs();
            self.blame(&format!("the load was not {what} within {seconds} s"))
        })
    }

    /// What it complained of tells more than that it is gone.
    fn blame(&mut self, what: &str) -> String {
        // A failed one is about to end, and then has said all.
        let _ = self.process.end(END_PATIENCE);
        match self.process.complaint() {
            complaint if complaint.is_empty() => what.to_owned(),
            complaint => complaint,
        }
    }
}

fn read_lines(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

fn parse_work(line: &str) -> Option<Work> {
    let line = line.strip_prefix("done ")?;
    let value = |key: &str| {
        line.split_whitespace()
            .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    };
    let span = |key| value(key)?.parse().ok().map(Duration::from_nanos);
    Some(Work {
        units: value("units")?.parse().ok()?,
        wall: span("wall")?,
        processor: span("cpu")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_one_line() {
        let work = Work {
            units: 12,
            wall: Duration::from_nanos(3_000_000_001),
            processor: Duration::from_nanos(5),
        };
        assert_eq!(
            parse_work("done units=12 wall=3000000001 cpu=5"),
            Some(work)
        );
        for line in [
            "ready",
            "done",
            "done units=12 wall=1",
            "done units=x wall=1 cpu=1",
        ] {
            assert_eq!(parse_work(line), None, "{line}");
        }
    }
}

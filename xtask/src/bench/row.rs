//! What a row says: its cases, who takes part in each, and what the reference and the targets are.
//!
//! A new row is a file in `rows/` with a [`Row`], and a line in the list of `rows.rs`.

use super::ground::Ground;

/// The name of our own command among the contenders.
pub(super) const OURS: &str = "ours";

/// One question, such as what a connection costs.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// The question, for `--list` and the report.
    pub(super) what: &'static str,
    pub(super) cases: fn(&Ground) -> Vec<Case>,
}

/// The question put in one way, to all contenders in turn.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) measure: Measure,
    /// The contender that the ratios of the others are told against.
    pub(super) reference: &'static str,
    /// Mode and flags of `bench-load`.
    pub(super) load: Vec<String>,
    pub(super) probe: Probe,
    /// Whether all contenders stand at once and take turns in [slices](super::ground::SLICES) of a
    /// run: where the load goes on when it is told to, and does not fill the machine.
    pub(super) is_sliced: bool,
    pub(super) contenders: Vec<Contender>,
    pub(super) targets: &'static [Target],
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measure {
    /// So many of these a second of the server's processor time: more is better.
    Rate(&'static str),
    /// The server's own memory for one of these: less is better.
    Memory(&'static str),
}

/// How to see that a server is there and answers as it should.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Probe {
    /// It says a line and closes; the line is what the load compares with.
    Line,
    /// It says what it is told.
    Echo,
    /// The same with datagrams.
    Datagram,
    /// It is a relay, and what it passes on goes back to the load, which waits until it does. Both
    /// are in a network of their own, see `network.rs`.
    Relay,
    /// It accepts; what it says is the load's to see, since nothing here speaks TLS.
    Listens,
}

#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    /// Its command line, with [`PORT`] for the port on 127.0.0.1, or why it doesn't take part.
    pub(super) command: Result<Vec<String>, String>,
    /// What its configuration file says, in which the same words stand for the same; or nothing.
    pub(super) configuration: String,
}

/// Stands in a command line for the port that the server is to take.
pub(super) const PORT: &str = "{port}";
/// The port that a relay is to connect to.
pub(super) const TARGET_PORT: &str = "{target}";
/// The configuration file, and a folder for whatever else it wants to write.
pub(super) const CONFIGURATION: &str = "{configuration}";
pub(super) const FOLDER: &str = "{folder}";

/// The name of the contender that is no relay: the load connects to itself.
pub(super) const DIRECT: &str = "direct";

/// What a figure of ours has to be. Where the numbers come from is said in `bench/README.md`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// Our rate as a multiple of another's.
    AtLeast {
        against: &'static str,
        must: f64,
        aim: f64,
    },
    /// Our rate as a multiple of the best of some.
    BestOf {
        of: &'static [&'static str],
        must: f64,
        aim: f64,
    },
    /// Our memory in KB.
    AtMost { must: f64, aim: f64 },
}

impl Contender {
    pub(super) fn new(name: &'static str, words: &[&str]) -> Self {
        Self {
            name,
            command: Ok(words.iter().map(|word| word.to_string()).collect()),
            configuration: String::new(),
        }
    }

    /// One that is told most of what it is to do by a file, [`CONFIGURATION`] on its command line.
    pub(super) fn configured(name: &'static str, words: &[&str], configuration: String) -> Self {
        Self {
            configuration,
            ..Self::new(name, words)
        }
    }

    /// The same with further words on its command line.
    pub(super) fn told(mut self, words: &[&str]) -> Self {
        if let Ok(command) = &mut self.command {
            command.extend(words.iter().map(|word| word.to_string()));
        }
        self
    }

    /// The same under another name, where ours takes part in several ways.
    pub(super) fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// Its server is a program that does nothing.
    pub(super) fn direct() -> Self {
        Self::new(DIRECT, &["sleep", "infinity"])
    }

    pub(super) fn absent(name: &'static str, reason: &str) -> Self {
        Self {
            name,
            command: Err(reason.to_owned()),
            configuration: String::new(),
        }
    }
}

/// Words as a case wants them.
pub(super) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(String::from).collect()
}

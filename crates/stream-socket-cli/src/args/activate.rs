//! `stream-socket activate`.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use stream_socket::SocketUrl;

use super::option_flags;
use super::serve::{cores, drain};
use crate::failure::Failure;
use crate::options::Flag;

/// What was typed after `activate`.
#[derive(Debug)]
pub(crate) struct ActivateArguments {
    /// At least one.
    pub(crate) urls: Vec<SocketUrl>,
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
    /// One for each URL, or none at all.
    pub(crate) names: Vec<String>,
    pub(crate) workers: usize,
    pub(crate) settle: Duration,
    pub(crate) drain: Duration,
    pub(crate) lazy: bool,
    pub(crate) flags: Vec<Flag>,
}

const USAGE: &str = "stream-socket activate [OPTIONS] <URL>... -- <CMD> [ARG]...";

const ABOUT: &str = "\
Open sockets, and keep programs running that accept from them.

Each URL is bound once, and every worker inherits all sockets, by the protocol of \
sd_listen_fds(3): they are descriptors 3 and up, in the order of the URLs, LISTEN_FDS tells how \
many, LISTEN_PID whose they are and LISTEN_FDNAMES their names. A worker has no other descriptor \
but standard input, which is /dev/null, output and error, which are ours. The sockets block, \
until a worker changes that for all of them. TLS is begun by who accepts, the worker: a URL of \
TLS is refused here.

A worker that ends is started again: at once if it ran for --settle, and else after 100ms, twice \
as long each time up to 10s. Meanwhile connections wait in the backlog. It leads a process \
group, of which nothing remains when it has ended.

With --lazy, none is started before a client comes, nor, once all have ended with exit code 0, \
before the next one does.

HUP replaces the workers, and no connection is refused meanwhile: new ones are started beside \
the old; once they have run for --settle, the old ones get TERM and may finish within --drain. \
If a new one ends before, the old ones stay.

Once clients can connect, the URL of each socket is printed on standard output, one a line. \
Where NOTIFY_SOCKET is set, it is told as sd_notify(3) says that workers run; they don't have \
that variable.

TERM and INT end it: our sockets are closed, the files of unix sockets are removed, workers get \
TERM and may finish within --drain, and the exit code is 0. Who has not ended by then is killed, \
with all of its process group. A second such signal, a tenth of a second later or more, ends all \
at once. Should this command itself be killed, its workers are, too.";

const EXAMPLES: &str = "\
Examples:
  stream-socket activate tcp://0.0.0.0:8000 --workers cores -- php server.php systemd://0
  stream-socket activate tcp://[::]:80 unix:///run/admin.sock --fdname web:admin -- ./app
  stream-socket activate unix:///run/app.sock --mode 0660 --group www-data -- ./app
  stream-socket activate udp://[::]:53 -- stream-socket serve 'systemd://*' echo
  stream-socket activate 'systemd://*' --workers 4 -- ./app";

pub(super) fn command() -> Command {
    Command::new("activate")
        .about("Keep programs running that inherit listening sockets")
        .long_about(ABOUT)
        .override_usage(USAGE)
        .arg(
            Arg::new("urls")
                .value_name("URL")
                .num_args(1..)
                .required(true)
                .help(
                    "What to open: tcp, udp, unix, udg, mptcp, vsock, systemd://NAME, fd://N; \
                     several",
                ),
        )
        .arg(
            Arg::new("program")
                .value_name("CMD")
                .num_args(1..)
                .last(true)
                .required(true)
                .value_parser(value_parser!(OsString))
                .help("What to start, and its arguments"),
        )
        .args([workers(), names(), lazy(), settle(), workers_drain()])
        .args(option_flags::flags_of_sockets())
        .after_help(EXAMPLES)
}

fn workers() -> Arg {
    Arg::new("workers")
        .long("workers")
        .value_name("COUNT")
        .value_parser(count)
        .default_value("1")
        .help_heading("Workers")
        .help("How many workers run: a number, or cores for one for each core")
}

/// As many as there are threads at most, by far enough for processes.
fn count(text: &str) -> Result<usize, String> {
    const MOST: usize = 1024;
    match text.parse() {
        _ if text == "cores" => Ok(cores()),
        Ok(count) if (1..=MOST).contains(&count) => Ok(count),
        _ => Err(format!("it is neither cores nor a number in 1..={MOST}")),
    }
}

fn names() -> Arg {
    Arg::new("fdname")
        .long("fdname")
        .value_name("NAME[:NAME...]")
        .help_heading("Workers")
        .help("What the sockets are called in LISTEN_FDNAMES, a name for each URL [default: none]")
}

fn lazy() -> Arg {
    Arg::new("lazy")
        .long("lazy")
        .action(ArgAction::SetTrue)
        .help_heading("Workers")
        .help("Start no worker before a client comes, nor again after all ended with success")
}

fn settle() -> Arg {
    Arg::new("settle")
        .long("settle")
        .value_name("SPAN")
        .value_parser(super::span)
        .default_value("1s")
        .help_heading("Workers")
        .help("How long a worker must run to be taken for one that works")
}

fn workers_drain() -> Arg {
    drain()
        .help_heading("Workers")
        .help("How long a worker may go on after it was sent TERM: 500ms, 5s, 1m, never")
}

pub(super) fn arguments(matches: &ArgMatches) -> Result<ActivateArguments, Failure> {
    let words = matches.get_many::<String>("urls").unwrap_or_default();
    let urls = words
        .map(|word| super::url(word))
        .collect::<Result<Vec<_>, _>>()?;
    let command = matches.get_many("program").unwrap_or_default();
    let names = given_names(matches, urls.len())?;
    Ok(ActivateArguments {
        urls,
        command: command.cloned().collect(),
        names,
        workers: matches.get_one("workers").copied().unwrap_or(1),
        settle: matches.get_one("settle").copied().unwrap_or_default(),
        drain: matches.get_one("drain").copied().unwrap_or_default(),
        lazy: matches.get_flag("lazy"),
        flags: option_flags::given_of_sockets(matches),
    })
}

fn given_names(matches: &ArgMatches, urls: usize) -> Result<Vec<String>, Failure> {
    let Some(text) = matches.get_one::<String>("fdname") else {
        return Ok(Vec::new());
    };
    let names: Vec<_> = text.split(':').map(str::to_owned).collect();
    let is_bad =
        |name: &&String| name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic());
    if let Some(name) = names.iter().find(is_bad) {
        let sentence = format!("--fdname: {name:?} is no name of a socket");
        return Err(Failure::Usage(sentence));
    }
    match (names.len(), urls) {
        (count, urls) if count == urls => Ok(names),
        (count, 1) => Err(Failure::Usage(format!(
            "--fdname has {count} names, and there is 1 URL"
        ))),
        (count, urls) => Err(Failure::Usage(format!(
            "--fdname has {count} of the {urls} names that the URLs need"
        ))),
    }
}

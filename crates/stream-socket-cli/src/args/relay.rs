//! `stream-socket relay`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};
use stream_socket::SocketUrl;

use super::danger::{self, Danger};
use super::option_flags;
use super::serve::{cores, drain, threads};
use crate::failure::Failure;
use crate::options::Flag;

/// What was typed after `relay`.
#[derive(Debug)]
pub(crate) struct RelayArguments {
    pub(crate) listen: SocketUrl,
    pub(crate) target: SocketUrl,
    pub(crate) threads: usize,
    pub(crate) drain: Duration,
    pub(crate) half_closed: Duration,
    pub(crate) retry: Duration,
    pub(crate) refresh: Duration,
    pub(crate) limits: Option<PathBuf>,
    pub(crate) flags: Vec<Flag>,
    pub(crate) danger: Danger,
}

/// How long connecting may take where nothing else is said, and how that is written: a client that
/// waits for longer has mostly gone.
pub(crate) const CONNECT_TIMEOUT: (Duration, &str) = (Duration::from_secs(10), "10s");

const ABOUT: &str = "\
Accept connections on one URL and pass each on to another, of whatever transport.

Both directions are independent: the end of one is passed on once all before it is delivered, and \
the other goes on, though silent for no longer than --half-closed. A connection that is reset has \
the other one reset. Where one side does not read, the other is not read from; who has not taken \
all when a limit in time is over is reset, and who takes it slowly is not idle, as far as can \
be seen from here.

Over udp and udg each peer is a relay of its own, until nothing came or went for \
--peer-idle-timeout; at most --max-peers are known. A datagram stays one datagram; between \
datagrams and bytes, each read becomes a datagram, or its bytes.

A name as target is looked up before anybody is waited for, again whenever --refresh is over, \
when it could not be reached, and on HUP, which also has the files of certificates \
read again. All its addresses are tried.

A file of --limits has a KEY=VALUE in each line, of max_connections, max_connections_per_ip, \
idle_timeout and lifetime, and goes before flags and queries. On HUP it is read again: \
connections stay, even if there are too many of them now, and new ones get the new limits.

By way of a proxy with --via; `--via @FILE` takes its URL from the first line of a file, so that \
a password in it is not among the arguments, which other users see.

At the end of each connection one line tells who it was, where it went, how much went up, to the \
target, and down, for how long, which side ended it and why.

TERM and INT end it: nothing new is accepted, connections may finish within --drain, datagrams \
until there was none for a second, and the exit code is 0. A second such signal ends it at once.";

const EXAMPLES: &str = "\
Examples:
  stream-socket relay tcp://[::]:8080 tcp://localhost:80
  stream-socket relay tcp://127.0.0.1:5432 unix:///run/postgresql/.s.PGSQL.5432
  stream-socket relay unix:///run/app.sock tcp://app.internal:9000 --mode 0660
  stream-socket relay udp://[::]:53 udp://9.9.9.9:53 --peer-idle-timeout 5s
  stream-socket relay tcp://[::]:80 tcp://10.0.0.7:80 --send-proxy v2 --max-connections 1000
  stream-socket relay 'tls://[::]:443?certificate=site.pem' tcp://localhost:80
  stream-socket relay systemd://app vsock://3:80
  stream-socket relay tcp://localhost:3128 tls://proxy.example.org:443

A flag goes to each of the two URLs that it applies to; a key in a URL's query is for that one \
alone, and goes before the flag.";

pub(super) fn command() -> Command {
    Command::new("relay")
        .about("Pass connections on to another socket, of whatever transport")
        .long_about(ABOUT)
        .arg(
            Arg::new("listen")
                .value_name("LISTEN")
                .required(true)
                .help("What to listen on: tcp, udp, unix, udg, vsock, tls, systemd://NAME, fd://N"),
        )
        .arg(
            Arg::new("target")
                .value_name("TARGET")
                .required(true)
                .help("What to connect to for each: tcp, udp, unix, udg, vsock, tls"),
        )
        .args([half_closed(), retry(), refresh(), limits()])
        .args([drain(), threads()].map(|arg| arg.help_heading("Relay")))
        .args(option_flags::flags_of_relay())
        .args(danger::flags())
        .after_help(EXAMPLES)
}

fn half_closed() -> Arg {
    span("half_closed", "half-closed", "1m")
        .help("How long one side may be silent after the other has ended")
}

fn retry() -> Arg {
    span("retry", "retry", "2s")
        .help("For how long a target is tried again that could not be reached; 0s for once")
}

fn refresh() -> Arg {
    span("refresh", "refresh", "30s").help("After how long a name is looked up again")
}

fn limits() -> Arg {
    Arg::new("limits")
        .long("limits")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("A file of limits of LISTEN, read again on HUP")
        .help_heading("Relay")
}

fn span(id: &'static str, name: &'static str, default: &'static str) -> Arg {
    Arg::new(id)
        .long(name)
        .value_name("SPAN")
        .value_parser(super::span)
        .default_value(default)
        .help_heading("Relay")
}

pub(super) fn arguments(matches: &ArgMatches) -> Result<RelayArguments, Failure> {
    let word = |name| matches.get_one::<String>(name).map_or("", String::as_str);
    let time = |name| matches.get_one(name).copied().unwrap_or_default();
    let (listen, target) = (super::url(word("listen"))?, super::url(word("target"))?);
    Ok(RelayArguments {
        listen,
        target,
        threads: matches
            .get_one::<u16>("threads")
            .map_or_else(cores, |count| usize::from(*count)),
        drain: time("drain"),
        half_closed: time("half_closed"),
        retry: time("retry"),
        refresh: time("refresh"),
        limits: matches.get_one("limits").cloned(),
        flags: option_flags::given_of_relay(matches),
        danger: danger::given(matches),
    })
}

//! `stream-socket connect`.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use stream_socket::{Role, SocketUrl};

use super::danger::{self, Danger};
use super::option_flags;
use crate::failure::Failure;
use crate::options::Flag;

/// What was typed after `connect`.
#[derive(Debug)]
pub(crate) struct ConnectArguments {
    pub(crate) url: SocketUrl,
    pub(crate) timeout: Option<Duration>,
    pub(crate) wait: Duration,
    pub(crate) is_verbose: bool,
    pub(crate) flags: Vec<Flag>,
    pub(crate) danger: Danger,
}

const ABOUT: &str = "\
Connect a socket to standard input and output.

Both directions are independent. At the end of the input the socket's sending half is closed, and \
what the peer still sends is received. It ends when the peer has ended and all of it is written; \
input that is still coming is sent on until there was none for --wait.

Over udp and udg each input read is one datagram: a line from a terminal, else as much as was \
there, up to 64 KiB. Empty input is one empty datagram, so that a service that only answers can \
be asked: connect udp://localhost:13 </dev/null. After the end of the input it ends when nothing \
came or went for --wait.

Over TLS the server's certificate must be of an authority that --ca, or the system, trusts, and \
for the host of the URL or --peer-name. A connection that ends without TLS saying so was cut \
short, which ends it with 1.

By way of a proxy with --via; `--via @FILE` takes its URL from the first line of a file, so that \
a password in it is not among the arguments, which other users see.

A reader of standard output that closes it has had enough: that ends it with exit code 0. A peer \
that resets the connection ends it with 1.";

const EXAMPLES: &str = "\
Examples:
  stream-socket connect tcp://localhost:8000
  printf 'GET / HTTP/1.0\\r\\nHost: example.org\\r\\n\\r\\n' | stream-socket connect example.org:80
  stream-socket connect udp://localhost:13 --wait 2s </dev/null
  stream-socket connect unix:///run/echo.sock --timeout 10s <picture.png >copy.png
  stream-socket connect udg://@log <message
  stream-socket connect tls://example.org:443 --alpn h2,http/1.1 --verbose
  stream-socket connect vsock://host:9000
  stream-socket connect tls://10.0.0.7:8443 --peer-name app.internal --ca authority.pem";

pub(super) fn command() -> Command {
    Command::new("connect")
        .about("Connect a socket to standard input and output")
        .long_about(ABOUT)
        .arg(
            Arg::new("url")
                .value_name("URL")
                .required(true)
                .help("What to connect to: tcp, udp, unix, udg, vsock, tls, fd://N"),
        )
        .args([timeout(), wait(), verbose()])
        .args(option_flags::flags(Role::Connect))
        .args(danger::flags())
        .after_help(EXAMPLES)
}

fn timeout() -> Arg {
    Arg::new("timeout")
        .long("timeout")
        .value_name("SPAN")
        .value_parser(super::span)
        .help_heading("Exchange")
        .help(
            "Give up when connecting takes longer, or when nothing moves either way that long: \
             500ms, 5s, 1m [default: 60s for connecting, never after that]",
        )
}

fn wait() -> Arg {
    Arg::new("wait")
        .long("wait")
        .value_name("SPAN")
        .value_parser(super::span)
        .default_value("500ms")
        .help_heading("Exchange")
        .help("How long to wait for more after the peer's end, or for answers to datagrams")
}

fn verbose() -> Arg {
    Arg::new("verbose")
        .long("verbose")
        .short('v')
        .action(ArgAction::SetTrue)
        .help_heading("Messages")
        .help("Tell the addresses of both ends once connected, and what TLS agreed upon")
}

pub(super) fn arguments(matches: &ArgMatches) -> Result<ConnectArguments, Failure> {
    let text: Option<&String> = matches.get_one("url");
    Ok(ConnectArguments {
        url: super::url(text.map(String::as_str).unwrap_or_default())?,
        timeout: matches.get_one("timeout").copied(),
        wait: matches.get_one("wait").copied().unwrap_or_default(),
        is_verbose: matches.get_flag("verbose"),
        flags: option_flags::given(matches, Role::Connect),
        danger: danger::given(matches),
    })
}

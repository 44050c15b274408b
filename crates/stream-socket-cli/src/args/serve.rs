//! `stream-socket serve`.

use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Arg, ArgMatches, Command, ValueEnum, value_parser};
use stream_socket::{Role, SocketUrl};

use super::option_flags;
use crate::failure::Failure;
use crate::options::Flag;

/// What was typed after `serve`.
#[derive(Debug)]
pub(crate) struct ServeArguments {
    pub(crate) urls: Vec<SocketUrl>,
    pub(crate) service: ServiceName,
    pub(crate) daytime_format: Option<String>,
    pub(crate) drain: Duration,
    pub(crate) flags: Vec<Flag>,
}

/// The services, by the names that their RFCs give them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServiceName {
    Daytime,
    Time,
    Echo,
    Discard,
    Chargen,
    Qotd,
}

impl ServiceName {
    pub(crate) fn name(self) -> &'static str {
        self.facts().0
    }

    fn facts(self) -> (&'static str, &'static str) {
        match self {
            ServiceName::Daytime => ("daytime", "The local time as a line of text (RFC 867)"),
            ServiceName::Time => ("time", "The seconds since 1900, as 4 bytes (RFC 868)"),
            ServiceName::Echo => ("echo", "Whatever comes goes back (RFC 862)"),
            ServiceName::Discard => ("discard", "Whatever comes is thrown away (RFC 863)"),
            ServiceName::Chargen => ("chargen", "Lines of characters without end (RFC 864)"),
            ServiceName::Qotd => ("qotd", "A quote of the day (RFC 865)"),
        }
    }
}

impl ValueEnum for ServiceName {
    fn value_variants<'a>() -> &'a [Self] {
        use ServiceName::{Chargen, Daytime, Discard, Echo, Qotd, Time};
        &[Daytime, Time, Echo, Discard, Chargen, Qotd]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = self.facts();
        Some(PossibleValue::new(name).help(help))
    }
}

/// The line of PHP's manual, `n/j/Y g:i a`.
pub(crate) const DAYTIME_FORMAT: &str = "The local time is %-m/%-d/%Y %-I:%M %P";

const ABOUT: &str = "\
Serve one of the classic small services on any number of sockets.

Once clients can connect, the URL of each socket is printed on standard output, one a line, with \
the port that the system chose where port 0 was asked for. A name that has several addresses \
gives several sockets. Where NOTIFY_SOCKET is set, readiness is told as sd_notify(3) says.

TERM and INT end it: nothing new is accepted, the files of unix sockets are removed, connections \
may finish within --drain, and the exit code is 0. A second such signal, a tenth of a second \
later or more, ends it at once.";

const EXAMPLES: &str = "\
Examples:
  stream-socket serve tcp://0.0.0.0:8000 daytime
  stream-socket serve tcp://[::]:37 udp://[::]:37 time
  stream-socket serve unix:///run/echo.sock --mode 0660 --group www-data echo
  stream-socket serve 'tcp://127.0.0.1:0?backlog=16' --nodelay --keepalive-idle 1m echo
  stream-socket serve tcp://127.0.0.1:13 daytime --daytime-format '%F %T %Z'

A flag goes to those of the URLs that it applies to; a key in a URL's query goes before the flag.

An answer over udp is at most three times as large as what was asked, headers included, so that \
nobody can use it against others. Datagrams from the ports of these services (7, 9, 13, 17, 19, \
37) are not answered, since two servers would answer each other for ever.";

pub(super) fn command() -> Command {
    Command::new("serve")
        .about("Serve daytime, time, echo, discard, chargen or qotd on any socket")
        .long_about(ABOUT)
        .arg(
            Arg::new("url")
                .value_name("URL")
                .num_args(1..)
                .required(true)
                .help("What to listen on: tcp, udp, unix, udg; several at once"),
        )
        .arg(
            Arg::new("service")
                .value_name("SERVICE")
                .required(true)
                .value_parser(value_parser!(ServiceName))
                .help("What clients are answered"),
        )
        .arg(daytime_format())
        .arg(drain())
        .args(option_flags::flags(Role::Listen))
        .after_help(EXAMPLES)
}

fn daytime_format() -> Arg {
    Arg::new("daytime_format")
        .long("daytime-format")
        .value_name("STRFTIME")
        .help_heading("Service")
        .help(format!(
            "The whole line that daytime answers, as for strftime(3); a line feed follows \
             [default: {DAYTIME_FORMAT}]"
        ))
}

fn drain() -> Arg {
    Arg::new("drain")
        .long("drain")
        .value_name("SPAN")
        .value_parser(super::span)
        .default_value("5s")
        .help_heading("Service")
        .help("How long connections may go on after TERM or INT: 500ms, 5s, 1m, never")
}

pub(super) fn arguments(matches: &ArgMatches) -> Result<ServeArguments, Failure> {
    let service = matches
        .get_one("service")
        .copied()
        .unwrap_or(ServiceName::Daytime);
    let daytime_format: Option<String> = matches.get_one("daytime_format").cloned();
    if daytime_format.is_some() && service != ServiceName::Daytime {
        let sentence = format!(
            "--daytime-format applies to daytime, not to {}",
            service.name()
        );
        return Err(Failure::Usage(sentence));
    }
    let urls = matches.get_many::<String>("url").unwrap_or_default();
    Ok(ServeArguments {
        urls: urls
            .map(|text| super::url(text))
            .collect::<Result<_, _>>()?,
        service,
        daytime_format,
        drain: matches.get_one("drain").copied().unwrap_or_default(),
        flags: option_flags::given(matches, Role::Listen),
    })
}

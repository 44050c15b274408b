//! `stream-socket serve`.

use std::borrow::Cow;
use std::ffi::OsString;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};
use stream_socket::{Role, SocketUrl};

use super::option_flags;
use crate::failure::Failure;
use crate::options::Flag;

/// What was typed after `serve`.
#[derive(Debug)]
pub(crate) struct ServeArguments {
    pub(crate) urls: Vec<SocketUrl>,
    pub(crate) answer: Answer,
    pub(crate) daytime_format: Option<String>,
    pub(crate) threads: usize,
    pub(crate) drain: Duration,
    pub(crate) flags: Vec<Flag>,
}

/// Who answers.
#[derive(Debug)]
pub(crate) enum Answer {
    Service(ServiceName),
    /// A program and its arguments, started for each connection.
    Program(Vec<OsString>),
}

impl Answer {
    /// The service, or the program without its arguments.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        match self {
            Answer::Service(service) => service.name().into(),
            Answer::Program(command) => command
                .first()
                .map(|program| program.to_string_lossy())
                .unwrap_or_default(),
        }
    }
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

impl ServiceName {
    const ALL: [ServiceName; 6] = [
        ServiceName::Daytime,
        ServiceName::Time,
        ServiceName::Echo,
        ServiceName::Discard,
        ServiceName::Chargen,
        ServiceName::Qotd,
    ];

    fn from_name(name: &str) -> Result<Self, Failure> {
        let known = Self::ALL.into_iter().find(|service| service.name() == name);
        known.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|service| service.name()).collect();
            let names = names.join(", ");
            Failure::Usage(format!(
                "the last word is no service: {name:?}; it is one of {names}, or a program after --"
            ))
        })
    }
}

/// The line of PHP's manual, `n/j/Y g:i a`.
pub(crate) const DAYTIME_FORMAT: &str = "The local time is %-m/%-d/%Y %-I:%M %P";

const USAGE: &str = "\
stream-socket serve [OPTIONS] <URL>... <SERVICE>
       stream-socket serve [OPTIONS] <URL>... -- <CMD> [ARG]...";

const ABOUT: &str = "\
Serve one of the classic small services, or a program for each connection, on any number of \
sockets.

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
  stream-socket serve unix:///run/date.sock --max-connections 10 -- date --utc
  stream-socket serve udp://127.0.0.1:8000 --peer-idle-timeout 5s -- tr a-z A-Z
  stream-socket serve tls://[::]:4433 --certificate site.pem --key site.key daytime
  stream-socket serve systemd://web -- /usr/libexec/web

A program has the socket as its standard input and output, and is told of the connection by the \
variables of UCSPI: PROTO, TCPREMOTEIP, TCPREMOTEPORT, TCPLOCALIP, TCPLOCALPORT; on unix \
UNIXREMOTEPATH, UNIXLOCALPATH, UNIXREMOTEPID, UNIXREMOTEEUID, UNIXREMOTEEGID; on vsock \
VSOCKREMOTECID, VSOCKREMOTEPORT, VSOCKLOCALCID, VSOCKLOCALPORT. For each address \
that is listened on, at most --max-connections run at once (100 unless given otherwise); the rest \
waits. Where descriptors or processes run out, a connection waits until its program can be \
started. Its standard error is ours. At the end of --drain or --lifetime it is \
killed, with all of its process group.

Over udp and udg a program is started for each peer, and told of it by UDPREMOTEIP, \
UDPREMOTEPORT, UDPLOCALIP, UDPLOCALPORT, or UDGREMOTEPATH, UDGLOCALPATH. One read of its standard \
input is one datagram, of which a short read loses the rest; one write is an answer to that peer. \
It reads the end when the peer has been idle for --peer-idle-timeout (60s), when the peer has no \
name to be answered at, and when the server drains, and is killed 5 seconds later. At most \
--max-peers run at once (100); datagrams of further peers are dropped and counted.

Over TLS a program has a socket through which its connection is carried, decrypted, and is told \
of it as of the plain one, with PROTO=SSL, and by SSL_PROTOCOL, SSL_CIPHER, SSL_CIPHER_USEKEYSIZE, \
SSL_SESSION_RESUMED, and SSL_TLS_SNI and SSL_TLS_SNI_SERVERNAME, the name that the client asked \
for. SSL_CLIENT_VERIFY is SUCCESS where the client has shown a certificate, told of by \
SSL_CLIENT_S_DN and SSL_CLIENT_I_DN as CN=NAME,O=ORGANIZATION, and else NONE. A connection that \
breaks, or ends without TLS saying so, is one that was reset to the program. A handshake that \
fails is logged, at most ten a second, with who it was and why; the handshakes of all clients go \
on side by side, each within --handshake-timeout. HUP has the certificates' files read again: \
connections stay, new ones get the new certificates; what can't be used leaves the old ones.

A flag goes to those of the URLs that it applies to; a key in a URL's query goes before the flag.

An answer of a service over udp is at most three times as large as what was asked, headers \
included, so that nobody can use it against others; a program of yours has to see to that itself. \
Datagrams from the ports of these services (7, 9, 13, 17, 19, 37) are not answered, since two \
servers would answer each other for ever.";

pub(super) fn command() -> Command {
    let services = ServiceName::ALL.iter().map(|service| {
        let (name, help) = service.facts();
        format!("  {name:<9}{help}")
    });
    let services = services.collect::<Vec<_>>().join("\n");
    Command::new("serve")
        .about("Serve daytime, time, echo, discard, chargen, qotd or a program on any socket")
        .long_about(ABOUT)
        .override_usage(USAGE)
        .arg(
            Arg::new("words")
                .value_name("URL")
                .num_args(1..)
                .required(true)
                .help(
                    "What to listen on: tcp, udp, unix, udg, vsock, tls, systemd://NAME, fd://N; \
                     several; then the SERVICE",
                ),
        )
        .arg(
            Arg::new("program")
                .value_name("CMD")
                .num_args(1..)
                .last(true)
                .value_parser(value_parser!(OsString))
                .help("What to start for each connection, in place of a service"),
        )
        .arg(daytime_format())
        .arg(drain())
        .arg(threads())
        .args(option_flags::flags(Role::Listen))
        .after_help(format!("Services:\n{services}\n\n{EXAMPLES}"))
}

pub(super) fn threads() -> Arg {
    Arg::new("threads")
        .long("threads")
        .value_name("COUNT")
        .value_parser(value_parser!(u16).range(1..=1024))
        .help_heading("Service")
        .help("Threads that serve, each with a loop of its own [default: one for each core]")
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

pub(super) fn drain() -> Arg {
    Arg::new("drain")
        .long("drain")
        .value_name("SPAN")
        .value_parser(super::span)
        .default_value("5s")
        .help_heading("Service")
        .help("How long connections may go on after TERM or INT: 500ms, 5s, 1m, never")
}

pub(super) fn arguments(matches: &ArgMatches) -> Result<ServeArguments, Failure> {
    let words = matches.get_many::<String>("words").unwrap_or_default();
    let mut words: Vec<&str> = words.map(String::as_str).collect();
    let program = matches.get_many::<OsString>("program");
    let answer = match program {
        Some(program) => Answer::Program(program.cloned().collect()),
        None => Answer::Service(ServiceName::from_name(words.pop().unwrap_or_default())?),
    };
    if words.is_empty() {
        return Err(Failure::Usage("no URL is given to listen on".to_owned()));
    }
    let daytime_format: Option<String> = matches.get_one("daytime_format").cloned();
    if daytime_format.is_some() && !matches!(answer, Answer::Service(ServiceName::Daytime)) {
        let sentence = format!(
            "--daytime-format applies to daytime, not to {}",
            answer.name()
        );
        return Err(Failure::Usage(sentence));
    }
    let urls = words
        .into_iter()
        .map(super::url)
        .collect::<Result<Vec<_>, _>>()?;
    let flags = option_flags::given(matches, Role::Listen);
    if let Answer::Program(_) = answer {
        judge_for_programs(&urls, &flags)?;
    }
    Ok(ServeArguments {
        urls,
        answer,
        daytime_format,
        threads: matches
            .get_one::<u16>("threads")
            .map_or_else(cores, |count| usize::from(*count)),
        drain: matches.get_one("drain").copied().unwrap_or_default(),
        flags,
    })
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What programs do with the socket of a connection we don't see.
fn judge_for_programs(urls: &[SocketUrl], flags: &[Flag]) -> Result<(), Failure> {
    const UNSEEN: [&str; 3] = ["idle_timeout", "read_timeout", "write_timeout"];
    if let Some(name) = given(urls, flags).find(|name| UNSEEN.contains(name)) {
        let sentence = format!("{name} can't be told of a program's connection: use lifetime");
        return Err(Failure::Usage(sentence));
    }
    Ok(())
}

/// The names of the options in flags and URLs.
fn given<'a>(urls: &'a [SocketUrl], flags: &'a [Flag]) -> impl Iterator<Item = &'a str> {
    let asked = urls.iter().flat_map(SocketUrl::query);
    let flagged = flags.iter().map(|flag| flag.key.name);
    flagged.chain(asked.map(|(name, _)| name))
}

//! What was typed, and what it stands for: no file and no socket is touched here.

mod activate;
mod connect;
mod danger;
mod option_flags;
mod php;
mod relay;
mod serve;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use clap_complete::Shell;
use stream_socket::SocketUrl;

pub(crate) use self::activate::ActivateArguments;
pub(crate) use self::connect::ConnectArguments;
pub(crate) use self::danger::Danger;
pub(crate) use self::php::PhpArguments;
pub(crate) use self::relay::{CONNECT_TIMEOUT, RelayArguments};
pub(crate) use self::serve::{Answer, DAYTIME_FORMAT, ServeArguments, ServiceName};
use crate::failure::Failure;

/// How messages are written to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, the error that ends the command included.
    Json,
}

/// What holds for every subcommand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Messages {
    pub(crate) format: LogFormat,
    pub(crate) is_quiet: bool,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    Activate(ActivateArguments),
    Serve(ServeArguments),
    Connect(ConnectArguments),
    Php(PhpArguments),
    Relay(RelayArguments),
    Transports,
    Completions(Shell),
    Man(Option<PathBuf>),
}

const EXAMPLES: &str = "\
Examples:
  stream-socket serve tcp://127.0.0.1:8000 daytime
  stream-socket connect tcp://127.0.0.1:8000
  stream-socket relay tcp://[::]:80 unix:///run/app.sock
  stream-socket activate tcp://[::]:80 --workers cores -- php server.php systemd://0

A URL is transport://target?key=value&…: tcp://[::1]:8000, udp://localhost:daytime,
unix:///run/time.sock?mode=0660, udg://@name. Without transport:// it is tcp.

Exit codes: 0 done; 1 a socket, a file or a time limit stood in the way; 2 what was typed makes
no sense.";

/// The whole command line: subcommands, flags and their help.
pub(crate) fn command() -> Command {
    Command::new("stream-socket")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Any socket from one URL: transport://target")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .max_term_width(100)
        .args(global_flags())
        .subcommand(serve::command())
        .subcommand(connect::command())
        .subcommand(relay::command())
        .subcommand(activate::command())
        .subcommand(php::command())
        .subcommand(Command::new("transports").about("List the transports of this build"))
        .subcommand(completions())
        .subcommand(man())
        .after_help(EXAMPLES)
}

fn global_flags() -> [Arg; 2] {
    [
        Arg::new("log")
            .long("log")
            .value_name("FORMAT")
            .value_parser(PossibleValuesParser::new(["text", "json"]))
            .default_value("text")
            .global(true)
            .help_heading("Messages")
            .help("How messages are written to standard error"),
        Arg::new("quiet")
            .long("quiet")
            .short('q')
            .action(ArgAction::SetTrue)
            .global(true)
            .help_heading("Messages")
            .help("Only the error that ends the command, nothing else"),
    ]
}

fn completions() -> Command {
    Command::new("completions")
        .about("Print the completions for a shell")
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(value_parser!(Shell))
                .help("The shell that is to complete this command"),
        )
        .after_help(
            "Example:\n  stream-socket completions bash > \
             /usr/share/bash-completion/completions/stream-socket",
        )
}

fn man() -> Command {
    Command::new("man")
        .about("Write the manual pages")
        .arg(
            Arg::new("directory")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Where to write stream-socket.1 and a page for each subcommand")
                .long_help(
                    "Where to write stream-socket.1 and a page for each subcommand. Without it \
                     the main page alone goes to standard output.",
                ),
        )
        .after_help("Example:\n  stream-socket man | man -l -")
}

/// How messages are to be written, whatever the rest says.
pub(crate) fn messages(matches: &ArgMatches) -> Messages {
    let is_json = matches
        .get_one::<String>("log")
        .is_some_and(|format| format == "json");
    Messages {
        format: if is_json {
            LogFormat::Json
        } else {
            LogFormat::Text
        },
        is_quiet: matches.get_flag("quiet"),
    }
}

/// What is to be done.
pub(crate) fn action(matches: &ArgMatches) -> Result<Action, Failure> {
    match matches.subcommand() {
        Some(("serve", matches)) => serve::arguments(matches).map(Action::Serve),
        Some(("connect", matches)) => connect::arguments(matches).map(Action::Connect),
        Some(("relay", matches)) => relay::arguments(matches).map(Action::Relay),
        Some(("activate", matches)) => activate::arguments(matches).map(Action::Activate),
        Some(("php", matches)) => Ok(Action::Php(php::arguments(matches))),
        Some(("transports", _)) => Ok(Action::Transports),
        Some(("completions", matches)) => {
            let shell = matches.get_one("shell").copied().unwrap_or(Shell::Bash);
            Ok(Action::Completions(shell))
        }
        Some(("man", matches)) => Ok(Action::Man(matches.get_one("directory").cloned())),
        _ => Err(Failure::Usage("no subcommand given".to_owned())),
    }
}

/// A URL; the library's sentence where it is none.
fn url(text: &str) -> Result<SocketUrl, Failure> {
    Ok(text.parse()?)
}

/// A span of time, for the command line's parser.
fn span(text: &str) -> Result<std::time::Duration, String> {
    stream_socket::parse_span(text).map_err(|error| error.reason().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_help_line_ends_without_a_dot() {
        for subcommand in command().get_subcommands() {
            for argument in subcommand.get_arguments() {
                let help = argument.get_help().unwrap().to_string();
                assert!(!help.ends_with('.'), "{}: {help}", argument.get_id());
            }
        }
    }
}

//! `stream-socket php`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};

/// What was typed after `php`.
#[derive(Debug)]
pub(crate) struct PhpArguments {
    pub(crate) program: PathBuf,
    pub(crate) extension: Option<PathBuf>,
    /// What PHP is to be told: its options, a script, the script's arguments.
    pub(crate) words: Vec<OsString>,
}

const ABOUT: &str = "\
Run PHP with the extension stream_socket loaded.

PHP takes the place of this command: standard input and output, signals and the exit code are its \
own. PHP processes that the script starts have the extension too. One that is installed \
(`php -m` lists it) is left as it is.

Otherwise the extension is looked for beside this command, in ../lib/stream-socket from there, \
and in PHP's folder of extensions.";

const EXAMPLES: &str = "\
Examples:
  stream-socket php server.php 127.0.0.1:8000
  stream-socket php -r 'print_r(stream_get_transports());'
  stream-socket php --extension ./stream_socket.so -- -d memory_limit=1G server.php";

pub(super) fn command() -> Command {
    Command::new("php")
        .about("Run PHP with the extension stream_socket loaded")
        .long_about(ABOUT)
        .args([extension(), program(), words()])
        .after_help(EXAMPLES)
}

fn extension() -> Arg {
    Arg::new("extension")
        .long("extension")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("The extension to load, rather than the one that is found")
}

fn program() -> Arg {
    Arg::new("program")
        .long("php")
        .value_name("PROGRAM")
        .value_parser(value_parser!(PathBuf))
        .default_value("php")
        .help("The PHP to run")
}

fn words() -> Arg {
    Arg::new("words")
        .value_name("SCRIPT")
        .value_parser(value_parser!(OsString))
        .num_args(1..)
        .required(true)
        .trailing_var_arg(true)
        .allow_hyphen_values(true)
        .help("The script and its arguments, or options of PHP's before it")
}

pub(super) fn arguments(matches: &ArgMatches) -> PhpArguments {
    let words = matches.get_many("words").into_iter().flatten();
    PhpArguments {
        program: matches.get_one("program").cloned().unwrap_or_default(),
        extension: matches.get_one("extension").cloned(),
        words: words.cloned().collect(),
    }
}

//! The command `stream-socket`: any socket from one URL, for a shell, a container or a unit file.
//!
//! Floor 7. It uses nothing but the library's public face. `args` says what was typed, `command`
//! has a file for each subcommand, `service` holds the services and nothing about who calls them,
//! `serve` the tasks that do, `relay` those between two sockets, `loops` the threads that run both,
//! `activate` the workers that inherit sockets, and `connect` the exchange between a socket and the
//! standard streams.

#![forbid(unsafe_code)]

mod activate;
mod args;
mod child;
mod command;
mod connect;
mod descriptor;
mod exit;
mod failure;
mod limits;
mod log;
mod loops;
mod notify;
mod options;
mod output;
mod place;
mod relay;
mod serve;
mod service;
mod signal;
mod small_file;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(failed) = activate::launched() {
        return failed;
    }
    let matches = match args::command().try_get_matches() {
        Ok(matches) => matches,
        Err(answer) => return output::help_or_usage(&answer),
    };
    let messages = args::messages(&matches);
    log::init(messages);
    match args::action(&matches).and_then(|action| command::run(action, messages)) {
        Ok(()) => exit::DONE.into(),
        Err(failure) => {
            output::complain(&failure, messages.format);
            failure.exit_code().into()
        }
    }
}

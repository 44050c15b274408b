//! The subcommands, a file each.

mod activate;
mod completions;
mod connect;
mod man;
mod php;
mod relay;
mod serve;
mod transports;

use crate::args::{Action, Messages};
use crate::failure::Failure;

/// Does what was asked for.
pub(crate) fn run(action: Action, messages: Messages) -> Result<(), Failure> {
    match action {
        Action::Serve(arguments) => serve::run(arguments),
        Action::Connect(arguments) => connect::run(&arguments, messages),
        Action::Relay(arguments) => relay::run(&arguments),
        Action::Activate(arguments) => activate::run(arguments),
        Action::Php(arguments) => php::run(&arguments),
        Action::Transports => transports::run(),
        Action::Completions(shell) => completions::run(shell),
        Action::Man(directory) => man::run(directory.as_deref()),
    }
}

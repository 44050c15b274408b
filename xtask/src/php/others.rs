//! The extension on other PHPs than the machine's: the project's own scripts, and PHP's own tests.

use std::path::PathBuf;

use super::extension::Php;
use super::{compiled, debian13, phpt};
use crate::shell::{Shell, Trouble, tells_of_tests};

/// PHP 8.4, of Debian 13.
pub(crate) fn debian13_step(shell: &mut Shell) -> Result<(), Trouble> {
    let prepared = debian13::prepared(shell)?;
    try_out(shell, prepared)
}

/// The build for threads.
pub(crate) fn zts_step(shell: &mut Shell) -> Result<(), Trouble> {
    let prepared = compiled::prepared(shell, &compiled::ZTS)?;
    try_out(shell, prepared)
}

/// The build that tells of leaks.
pub(crate) fn debug_step(shell: &mut Shell) -> Result<(), Trouble> {
    let prepared = compiled::prepared(shell, &compiled::DEBUG)?;
    try_out(shell, prepared)
}

fn try_out(shell: &mut Shell, (php, source): (Php, PathBuf)) -> Result<(), Trouble> {
    let mut command = shell.cargo(&["test", "-p", "stream-socket-php", "--no-fail-fast"]);
    command
        .env("PHP", &php.command)
        .env("PHP_EXTENSION", &php.library);
    shell.run_showing(command, tells_of_tests)?;
    phpt::compare(shell, &php, &source)
}

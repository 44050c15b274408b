//! The extension on other PHPs than the machine's: the project's own scripts, and PHP's own tests.

use std::path::PathBuf;

use super::extension::{self, Php};
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
    threads(shell, &prepared.0)?;
    try_out(shell, prepared)
}

/// Requests in several threads at once, of a program that has PHP as a library.
fn threads(shell: &mut Shell, php: &Php) -> Result<(), Trouble> {
    let beside = |name: &str| php.library.with_file_name(name);
    let scripts = shell.root().join("tests/php/threads");
    let mut question = shell.command(beside("bin/php-config"));
    question.arg("--includes");
    let includes = shell.ask(question).unwrap_or_default();
    let mut compile = shell.command("cc");
    compile.args(["-O1", "-Wall", "-pthread"]);
    compile.args(includes.split_whitespace());
    compile.arg("-o").arg(beside("threads"));
    compile.arg(scripts.join("threads.c"));
    compile.arg("-L").arg(beside("lib")).arg("-lphp");
    shell.run(compile)?;
    let scanned = extension::scanned_folder(shell, &php.library)?;
    let mut run = shell.command(beside("threads"));
    run.arg(scripts.join("request.php")).args(["8", "25"]);
    run.env("LD_LIBRARY_PATH", beside("lib"))
        .env("PHP_INI_SCAN_DIR", scanned);
    shell.run_showing(run, |line| line.ends_with(" failed"))
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

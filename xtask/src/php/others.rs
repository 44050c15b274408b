//! The extension on other PHPs than the machine's: the project's own scripts, and PHP's own tests.

use std::fs;
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

/// What several threads do at once: a script, the threads, and the requests of each.
const THREADS: [(&str, [&str; 2]); 4] = [
    ("tests/php/threads/request.php", ["8", "25"]),
    ("tests/php/threads/serving.php", ["8", "10"]),
    ("tests/php/threads/signalled.php", ["8", "1"]),
    ("tests/php/serve/stress.php", ["4", "3"]),
];

/// Requests in several threads at once, of a program that has PHP as a library.
fn threads(shell: &mut Shell, php: &Php) -> Result<(), Trouble> {
    let beside = |name: &str| php.library.with_file_name(name);
    let mut question = shell.command(beside("bin/php-config"));
    question.arg("--includes");
    let includes = shell.ask(question).unwrap_or_default();
    let mut compile = shell.command("cc");
    compile.args(["-O1", "-Wall", "-pthread"]);
    compile.args(includes.split_whitespace());
    compile.arg("-o").arg(beside("threads"));
    compile.arg("tests/php/threads/threads.c");
    compile.arg("-L").arg(beside("lib")).arg("-lphp");
    shell.run(compile)?;
    let scanned = extension::scanned_folder(shell, &php.library)?;
    let meeting = beside("meeting");
    for (script, words) in THREADS {
        _ = fs::remove_dir_all(&meeting);
        fs::create_dir_all(&meeting).map_err(|error| {
            Trouble::Failed(format!("cannot create {}: {error}", meeting.display()))
        })?;
        // What ends others drains servers.
        let mut run = shell.command("timeout");
        run.args(["--signal=KILL", "120"]).arg(beside("threads"));
        run.arg(shell.root().join(script)).args(words);
        run.env("LD_LIBRARY_PATH", beside("lib"))
            .env("PHP_INI_SCAN_DIR", &scanned)
            .env("MEETING", &meeting);
        shell.run_showing(run, |line| line.ends_with(" failed"))?;
    }
    Ok(())
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

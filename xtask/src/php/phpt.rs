//! `cargo xtask phpt`: PHP's own tests of stream sockets, on stock PHP and with the extension.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::extension::{self, Php};
use super::run::unable;
use super::sources::Source;
use crate::shell::{Shell, Trouble};
use crate::{Refusal, Subcommand, debian};

pub(crate) const SUBCOMMAND: Subcommand = Subcommand {
    name: "phpt",
    summary: "PHP's own tests of stream sockets, with the extension",
    help: "\
Usage: cargo xtask phpt

Fetches PHP's source from Debian's archive, and runs each of its tests that touches stream sockets:
first on stock PHP, then with the extension. What passes there must pass here, but for what
tests/php/phpt-exceptions.txt lists with a reason.

Exit code: 0 nothing is worse than on stock PHP, 1 something is, 2 wrong arguments.",
    run,
};

/// Where PHP has such tests.
const FOLDERS: [&str; 9] = [
    "ext/standard/tests/streams",
    "ext/standard/tests/network",
    "ext/standard/tests/file",
    "ext/standard/tests/http",
    "ext/standard/tests/general_functions",
    "ext/openssl/tests",
    "ext/sockets/tests",
    "ext/pcntl/tests",
    "sapi/cli/tests",
];

/// What a test has in it that touches stream sockets, or a wrapper or server that is on them.
const SIGNS: [&str; 16] = [
    "stream_socket",
    "fsockopen",
    "stream_select",
    "stream_get_transports",
    "tcp://",
    "udp://",
    "unix://",
    "udg://",
    "http_server",
    "cli_server",
    "server.inc",
    "http://",
    "https://",
    "ftp://",
    "socket_import_stream",
    "socket_export_stream",
];

const EXCEPTIONS: &str = "tests/php/phpt-exceptions.txt";

type Results = BTreeMap<String, String>;

fn run(words: &[String]) -> Result<ExitCode, Refusal> {
    if !words.is_empty() {
        return Err(Refusal::Usage(SUBCOMMAND.help.to_owned()));
    }
    debian::ensure(&["phpt"].into())?;
    let mut shell = Shell::open("phpt", "PHP's own tests").map_err(unable)?;
    let result = step(&mut shell);
    shell.finish("phpt", if result.is_ok() { "passed" } else { "failed" });
    result.map_err(unable)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn step(shell: &mut Shell) -> Result<(), Trouble> {
    let source = Source::of_machine(shell)?.fetched(shell)?;
    let library = extension::build(shell)?;
    let command = "php".into();
    compare(shell, &Php { command, library }, &source)
}

/// Runs the tests of `source` on `php` without and with the extension, and compares.
pub(super) fn compare(shell: &mut Shell, php: &Php, source: &Path) -> Result<(), Trouble> {
    let scanned = extension::scanned_folder(shell, &php.library)?;
    let tests = chosen(source);
    let stock = results(shell, php, source, &tests, None)?;
    let mut ours = results(shell, php, source, &tests, Some(&scanned))?;
    // One that was disturbed by its neighbours gets a second chance, alone.
    let again: Vec<PathBuf> = worse(&stock, &ours)
        .iter()
        .map(|name| source.join(name))
        .collect();
    if !again.is_empty() {
        ours.extend(results(shell, php, source, &again, Some(&scanned))?);
    }
    let text = fs::read_to_string(shell.root().join(EXCEPTIONS))
        .map_err(|error| Trouble::Failed(format!("cannot read {EXCEPTIONS}: {error}")))?;
    verdict(shell, source, &stock, &ours, &exceptions(&text))
}

fn chosen(source: &Path) -> Vec<PathBuf> {
    let mut tests = Vec::new();
    for folder in FOLDERS {
        collect(&source.join(folder), &mut tests);
    }
    tests.sort();
    tests
}

fn collect(folder: &Path, tests: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, tests);
        } else if path.extension().is_some_and(|end| end == "phpt") && touches_sockets(&path) {
            tests.push(path);
        }
    }
}

fn touches_sockets(test: &Path) -> bool {
    let text = fs::read(test).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    SIGNS.iter().any(|sign| text.contains(sign))
}

fn results(
    shell: &mut Shell,
    php: &Php,
    source: &Path,
    tests: &[PathBuf],
    scanned: Option<&str>,
) -> Result<Results, Trouble> {
    let file = shell.target_folder().join("xtask/phpt-results.txt");
    _ = fs::remove_file(&file);
    let mut question = shell.command(&php.command);
    question.args(["-n", "-r", "echo PHP_BINARY;"]);
    let binary = shell.ask(question).unwrap_or_default();
    let mut command = shell.command(&php.command);
    command
        .arg("run-tests.php")
        .args(["-q", "-j2", "--set-timeout", "60", "-W"]);
    command.arg(&file).args(tests).current_dir(source);
    command
        .env("NO_INTERACTION", "1")
        .env("SKIP_ONLINE_TESTS", "1");
    command.env("TEST_PHP_EXECUTABLE", binary);
    if let Some(scanned) = scanned {
        command.env("PHP_INI_SCAN_DIR", scanned);
    }
    // It fails when a test does, which stock PHP's may.
    _ = shell.run(command);
    let text = fs::read_to_string(&file)
        .map_err(|error| Trouble::Failed(format!("run-tests.php left no results: {error}")))?;
    Ok(parsed(&text, source))
}

/// Lines of `PASSED`, a tab and a path.
fn parsed(text: &str, source: &Path) -> Results {
    let prefix = format!("{}/", source.display());
    text.lines()
        .filter_map(|line| line.split_once(['\t', ' ']))
        .map(|(word, path)| {
            let name = path.trim().trim_start_matches(&prefix);
            (name.to_owned(), word.to_owned())
        })
        .collect()
}

/// What passes on stock and not on ours, skipped tests too.
fn worse(stock: &Results, ours: &Results) -> Vec<String> {
    stock
        .iter()
        .filter(|(name, word)| *word == "PASSED" && ours.get(*name) != Some(word))
        .map(|(name, _)| name.clone())
        .collect()
}

fn exceptions(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "))
        .collect()
}

fn verdict(
    shell: &mut Shell,
    source: &Path,
    stock: &Results,
    ours: &Results,
    exceptions: &BTreeMap<&str, &str>,
) -> Result<(), Trouble> {
    let count = |results: &Results, word: &str| results.values().filter(|one| *one == word).count();
    shell.note(&format!(
        "{} tests: stock passes {}, with the extension {} pass, and {} exceptions are listed",
        stock.len(),
        count(stock, "PASSED"),
        count(ours, "PASSED"),
        exceptions.len(),
    ));
    let worse = worse(stock, ours);
    let names: BTreeSet<&str> = worse.iter().map(String::as_str).collect();
    let mut faults = Vec::new();
    for name in names.iter().filter(|name| !exceptions.contains_key(**name)) {
        let difference = source.join(name).with_extension("diff");
        let text = fs::read_to_string(difference).unwrap_or_default();
        shell.note(&format!("worse than stock: {name}\n{text}"));
        faults.push(format!("{name} is worse than on stock"));
    }
    for name in exceptions.keys().filter(|name| !names.contains(**name)) {
        if stock.get(*name).is_some_and(|word| word == "PASSED") {
            faults.push(format!("{name} passes: take it out of {EXCEPTIONS}"));
        }
    }
    if stock.is_empty() {
        faults.push("no test was run".to_owned());
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Trouble::Failed(faults.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passed_on_stock_alone_is_worse() {
        let source = Path::new("/s");
        let stock = parsed(
            "PASSED\t/s/a\nPASSED\t/s/b\nFAILED\t/s/c\nPASSED\t/s/d\n",
            source,
        );
        let ours = parsed(
            "PASSED\t/s/a\nFAILED\t/s/b\nFAILED\t/s/c\nSKIPPED\t/s/d\n",
            source,
        );
        assert_eq!(worse(&stock, &ours), ["b", "d"]);
    }

    #[test]
    fn exceptions_have_reasons() {
        let found = exceptions("# a: b\nx/y.phpt: because: so\nz\n");
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("x/y.phpt", "because: so")]
        );
    }
}

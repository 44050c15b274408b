//! The scripts of `tests/php` under valgrind: what the extension does to PHP's memory, and leaves.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::extension;
use crate::parallel::on_each_processor;
use crate::shell::{Shell, Trouble};

const FOLDERS: [&str; 5] = ["same", "differ", "ours", "serve", CLIENTS];
/// Where clients of TLS are to be the library's, which by default are PHP's.
const CLIENTS: &str = "clients";
const SUPPRESSIONS: &str = "tests/php/valgrind.supp";
/// Watches over its processes by pidfd_open(2), which valgrind 3.19 does not know.
const UNKNOWN_TO_VALGRIND: &str = "workers.php";
/// valgrind is thirty times slower, and a machine may be busy.
const SECONDS: &str = "1800";

const OUTPUT: &str = "output";

/// How PHP allocates.
#[derive(Clone, Copy, Debug)]
enum Allocator {
    /// By malloc, so that valgrind knows each block of PHP's.
    System,
    /// From PHP's own pages, which take with them what a fatal error leaves behind. What a leak
    /// says then is that Rust left something.
    Php,
}

/// A script, its arguments, and the code it ends with.
#[derive(Debug)]
struct Case {
    words: Vec<String>,
    allocator: Allocator,
    code: i32,
}

/// A case ready to run, and the folder of what it says: `output`, and a log of each process.
#[derive(Debug)]
struct Run {
    command: Command,
    folder: PathBuf,
    case: Case,
}

/// Runs every script; what valgrind says of any is a failure.
pub(crate) fn step(shell: &mut Shell) -> Result<(), Trouble> {
    let library = extension::build_simulated(shell)?;
    let scanned = extension::spare_folder(shell, &library)?;
    let logs = shell.target_folder().join("xtask/valgrind");
    _ = fs::remove_dir_all(&logs);
    let mut cases = scripts(shell.root());
    cases.extend(faults(shell, &scanned)?);
    let count = cases.len();
    let runs = cases
        .into_iter()
        .map(|case| prepare(shell, case, &logs, &scanned));
    let findings = findings(runs.collect());
    shell.note(&format!("{count} runs under valgrind"));
    for (words, said) in &findings {
        shell.record(&format!("not sound: {words}\n{said}"))?;
    }
    if findings.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = findings.iter().map(|(words, _)| words.as_str()).collect();
    Err(Trouble::Failed(format!(
        "of {count} runs these were not sound: {}",
        names.join(", ")
    )))
}

/// The words of each run that was not sound, and what was said in it. valgrind runs a process's
/// threads one at a time, so that each processor takes a run of its own.
fn findings(runs: Vec<Run>) -> Vec<(String, String)> {
    let found = on_each_processor(runs, |run| {
        let said = finding(run.command, &run.folder, run.case.code)?;
        Some((run.case.words.join(" "), said))
    });
    found.into_iter().flatten().collect()
}

fn scripts(root: &Path) -> Vec<Case> {
    let mut paths: Vec<PathBuf> = FOLDERS
        .iter()
        .flat_map(|folder| fs::read_dir(root.join("tests/php").join(folder)).into_iter())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.extension() == Some(OsStr::new("php")))
        .filter(|path| path.file_name() != Some(OsStr::new(UNKNOWN_TO_VALGRIND)))
        .collect();
    paths.push(root.join("tests/php/faults/panics.php"));
    paths.sort();
    paths
        .iter()
        .map(|path| Case {
            words: words(path),
            allocator: Allocator::System,
            code: 0,
        })
        .collect()
}

fn words(script: &Path) -> Vec<String> {
    let named = vec![script.display().to_string()];
    let folder = script.parent().and_then(Path::file_name);
    if folder != Some(OsStr::new(CLIENTS)) {
        return named;
    }
    let setting = ["-d", "stream_socket.tls=all"].map(str::to_owned);
    setting.into_iter().chain(named).collect()
}

/// Error handlers that throw, and such as end the request.
fn faults(shell: &mut Shell, scanned: &str) -> Result<Vec<Case>, Trouble> {
    let script = shell.root().join("tests/php/faults/handlers.php");
    let script = script.display().to_string();
    let mut command = shell.command("php");
    command.arg(&script).env("PHP_INI_SCAN_DIR", scanned);
    let names = shell
        .ask(command)
        .ok_or_else(|| Trouble::Failed(format!("`php {script}` does not tell its names")))?;
    let mut cases = vec![Case {
        words: vec![script.clone(), "all".into(), "throw".into()],
        allocator: Allocator::System,
        code: 0,
    }];
    // Of what is no stream PHP throws by itself, and asks no handler.
    let ending = names.lines().filter(|name| *name != "no stream");
    cases.extend(ending.map(|name| Case {
        words: vec![script.clone(), name.to_owned(), "end".into()],
        allocator: Allocator::Php,
        code: 255,
    }));
    Ok(cases)
}

fn prepare(shell: &Shell, case: Case, logs: &Path, scanned: &str) -> Run {
    let name = case.words.join(" ");
    let name = name.strip_prefix(&*shell.root().to_string_lossy());
    let folder = logs.join(
        name.unwrap_or_default()
            .trim_start_matches('/')
            .replace('/', "_"),
    );
    Run {
        command: valgrind(shell, &case, &folder, scanned),
        folder,
        case,
    }
}

/// What was said, if it was not sound.
fn finding(mut command: Command, folder: &Path, code: i32) -> Option<String> {
    let outcome = run(&mut command, folder).map(|ended| (ended == Some(code), ended));
    let mut said = match outcome {
        Ok((true, _)) => String::new(),
        Ok((false, ended)) => format!("it ended with {ended:?} instead of {code}\n"),
        Err(error) => format!("it could not be run: {error}\n"),
    };
    // One log a process: children of the script's have theirs.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let logs = entries.filter(|entry| entry.path().extension() == Some(OsStr::new("log")));
    said.extend(logs.filter_map(|log| fs::read_to_string(log.path()).ok()));
    if said.is_empty() {
        return None;
    }
    let output = fs::read(folder.join(OUTPUT)).unwrap_or_default();
    Some(format!("{}{said}", String::from_utf8_lossy(&output)))
}

/// The code it ended with, if it did by itself.
fn run(command: &mut Command, folder: &Path) -> io::Result<Option<i32>> {
    fs::create_dir_all(folder)?;
    let output = File::create(folder.join(OUTPUT))?;
    command.stdin(Stdio::null());
    command.stdout(output.try_clone()?).stderr(output);
    Ok(command.status()?.code())
}

fn valgrind(shell: &Shell, case: &Case, folder: &Path, scanned: &str) -> Command {
    let mut command = shell.command("timeout");
    command
        .args([SECONDS, "valgrind", "--quiet", "--leak-check=full"])
        .args(["--show-leak-kinds=definite", "--num-callers=30"])
        .arg(format!("--suppressions={SUPPRESSIONS}"))
        .arg(format!("--log-file={}/%p.log", folder.display()))
        // The code that PCRE makes at run time reads beyond ends, as it may.
        .args(["php", "-d", "pcre.jit=0"])
        .args(&case.words)
        .env("PHP_INI_SCAN_DIR", scanned)
        // Names of functions in what was found, rather than addresses.
        .env("ZEND_DONT_UNLOAD_MODULES", "1");
    if matches!(case.allocator, Allocator::System) {
        command.env("USE_ZEND_ALLOC", "0");
    }
    command
}

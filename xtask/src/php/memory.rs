//! The scripts of `tests/php` under valgrind: what the extension does to PHP's memory, and leaves.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::extension;
use crate::shell::{Shell, Trouble};

const FOLDERS: [&str; 4] = ["same", "differ", "ours", "serve"];
const SUPPRESSIONS: &str = "tests/php/valgrind.supp";
/// Watches over its processes by pidfd_open(2), which valgrind 3.19 does not know.
const UNKNOWN_TO_VALGRIND: &str = "workers.php";
/// valgrind is thirty times slower, and a machine may be busy.
const SECONDS: &str = "1800";

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

/// Runs every script; what valgrind says of any is a failure.
pub(crate) fn step(shell: &mut Shell) -> Result<(), Trouble> {
    let library = extension::build_simulated(shell)?;
    let scanned = extension::scanned_folder(shell, &library)?;
    let logs = shell.target_folder().join("xtask/valgrind");
    _ = fs::remove_dir_all(&logs);
    fs::create_dir_all(&logs)
        .map_err(|error| Trouble::Failed(format!("cannot create {}: {error}", logs.display())))?;
    let mut cases = scripts(shell.root());
    cases.extend(faults(shell, &scanned)?);
    let mut findings = 0;
    for case in &cases {
        findings += usize::from(!is_sound(shell, case, &logs, &scanned)?);
    }
    shell.note(&format!("{} runs under valgrind", cases.len()));
    match findings {
        0 => Ok(()),
        _ => Err(Trouble::Failed(format!(
            "{findings} of {} runs were not sound",
            cases.len()
        ))),
    }
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
            words: vec![path.display().to_string()],
            allocator: Allocator::System,
            code: 0,
        })
        .collect()
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

fn is_sound(shell: &mut Shell, case: &Case, logs: &Path, scanned: &str) -> Result<bool, Trouble> {
    let folder = logs.join(case.words.join(" ").replace('/', "_"));
    fs::create_dir_all(&folder)
        .map_err(|error| Trouble::Failed(format!("cannot create {}: {error}", folder.display())))?;
    let result = shell.run(valgrind(shell, case, &folder, scanned));
    let ended_as_meant = match &result {
        Ok(()) => case.code == 0,
        Err(Trouble::Failed(reason)) => reason.ends_with(&format!("exit status: {}", case.code)),
        Err(Trouble::Skipped { .. }) => false,
    };
    let mut sound = ended_as_meant;
    // One log a process: children of the script's have theirs.
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let said = fs::read_to_string(entry.path()).unwrap_or_default();
        if !said.is_empty() {
            shell.note(&said);
            sound = false;
        }
    }
    if !sound {
        shell.note(&format!("not sound: {}", case.words.join(" ")));
    }
    Ok(sound)
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

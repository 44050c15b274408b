//! Commands run on behalf of a step: their output goes to the step's log, and what a person
//! waits for to the terminal as well.

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::parallel::on_each_processor;

/// How long output may stay open and silent after its command has ended.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(1);

/// Why a step did not pass.
#[derive(Debug, PartialEq)]
pub(crate) enum Trouble {
    Failed(String),
    /// Not tried. What is `installable` must not be missing in CI.
    Skipped {
        reason: String,
        installable: bool,
    },
}

impl Trouble {
    /// In a sentence.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Failed(reason) | Self::Skipped { reason, .. } => reason,
        }
    }

    fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::Failed(format!("cannot {what} {}: {error}", path.display()))
    }
}

/// Where the commands of one step run and report.
#[derive(Debug)]
pub(crate) struct Shell {
    root: PathBuf,
    log: File,
    log_path: PathBuf,
    /// The cursor stands behind an announcement that its result will complete.
    is_mid_line: bool,
}

impl Shell {
    /// Opens the log called `name` and announces `what` on a line that [`Shell::finish`] completes.
    pub(crate) fn open(name: &str, what: &str) -> Result<Self, Trouble> {
        let root = root();
        let folder = target_folder(&root).join("xtask");
        fs::create_dir_all(&folder).map_err(|error| Trouble::io("create", &folder, &error))?;
        let log_path = folder.join(format!("{name}.log"));
        let log =
            File::create(&log_path).map_err(|error| Trouble::io("write", &log_path, &error))?;
        print!("{name}: {what} ... ");
        // A terminal that is gone is no reason to stop the checks.
        let _ = io::stdout().flush();
        Ok(Self {
            root,
            log,
            log_path,
            is_mid_line: true,
        })
    }

    /// Completes the announced line, or writes one of its own if something came between.
    pub(crate) fn finish(&mut self, name: &str, result: &str) {
        if self.is_mid_line {
            println!("{result}")
        } else {
            println!("{name}: {result}")
        }
        self.is_mid_line = false;
    }

    /// A line that a person should see while the step runs.
    pub(crate) fn note(&mut self, line: &str) {
        if self.is_mid_line {
            println!();
        }
        self.is_mid_line = false;
        println!("{line}");
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds.
    pub(crate) fn target_folder(&self) -> PathBuf {
        target_folder(&self.root)
    }

    /// The machine's release of Debian, as `bookworm`.
    pub(crate) fn release(&mut self) -> String {
        let mut question = self.command("sh");
        question.args(["-c", ". /etc/os-release && echo $VERSION_CODENAME"]);
        self.ask(question).unwrap_or_default().trim().to_owned()
    }

    pub(crate) fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// The log as it stands, without what every healthy run says.
    pub(crate) fn findings(&self) -> Vec<String> {
        let log = fs::read(&self.log_path).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        text.lines()
            .filter(|line| !is_routine(line))
            .map(String::from)
            .collect()
    }

    /// The cargo that runs us, at the root of the project.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = self.command(cargo);
        command.args(arguments);
        command
    }

    /// The nightly toolchain's cargo. rustup chooses it, so nothing of our toolchain may leak in.
    pub(crate) fn nightly_cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("rustup");
        command.args(["run", "nightly", "cargo"]).args(arguments);
        command.env("RUSTUP_AUTO_INSTALL", "0");
        for name in [
            "CARGO",
            "RUSTC",
            "RUSTDOC",
            "RUSTUP_TOOLCHAIN",
            "LD_LIBRARY_PATH",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Any program, at the root of the project, with an environment such as a shell would give.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command
            .current_dir(&self.root)
            .env("CARGO_TERM_COLOR", "never");
        // `cargo run` describes xtask in these; to a build script below they would be a change.
        for (name, _) in env::vars_os() {
            let is_ours = name.to_str().is_some_and(|name| {
                ["CARGO_PKG_", "CARGO_MANIFEST_"]
                    .iter()
                    .any(|prefix| name.starts_with(prefix))
            });
            if is_ours {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs a command whose failure is the step's.
    pub(crate) fn run(&mut self, command: Command) -> Result<(), Trouble> {
        self.run_showing(command, |_| false)
    }

    /// As [`Shell::run`], and lines for which `show` is true go to the terminal as they come.
    pub(crate) fn run_showing(
        &mut self,
        command: Command,
        show: fn(&str) -> bool,
    ) -> Result<(), Trouble> {
        let text = command_line(&command);
        let status = self.run_to_end(command, show)?;
        if status.success() {
            Ok(())
        } else {
            Err(Trouble::Failed(format!("`{text}`: {status}")))
        }
    }

    /// As [`Shell::run`] of each, as many at a time as there are processors: all run to their end,
    /// and the log has what one said, whole, before what the next did.
    pub(crate) fn run_together(&mut self, commands: Vec<Command>) -> Result<(), Trouble> {
        let ended = on_each_processor(commands, |mut command| {
            let output = command.stdin(Stdio::null()).output();
            (command_line(&command), output)
        });
        let mut result = Ok(());
        for (text, output) in ended {
            let said = |why: String| Trouble::Failed(format!("`{text}`: {why}"));
            self.record(&format!("$ {text}"))?;
            let output = output.map_err(|error| said(error.to_string()))?;
            for stream in [&output.stdout, &output.stderr] {
                self.record(String::from_utf8_lossy(stream).trim_end())?;
            }
            if !output.status.success() {
                result = result.and(Err(said(output.status.to_string())));
            }
        }
        result
    }

    /// Runs a command that only asks: whether it succeeded, and what it said.
    pub(crate) fn ask(&mut self, mut command: Command) -> Option<String> {
        let output = command.stdin(Stdio::null()).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn run_to_end(
        &mut self,
        mut command: Command,
        show: fn(&str) -> bool,
    ) -> Result<ExitStatus, Trouble> {
        let text = command_line(&command);
        let failed = |why: &str| Trouble::Failed(format!("`{text}`: {why}"));
        let failed_io = |error: io::Error| failed(&error.to_string());
        self.record(&format!("$ {text}"))?;

        // One pipe for both streams keeps their lines in order.
        let (reader, writer) = io::pipe().map_err(failed_io)?;
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(failed_io)?)
            .stderr(writer);
        let mut child = command.spawn().map_err(failed_io)?;
        // The command holds the writing ends; the pipe ends only when the child alone has them.
        drop(command);

        let lines = read_lines(reader);
        let is_closed = self.take_lines(&lines, &mut child, show)?;
        let status = child.wait().map_err(failed_io)?;
        if is_closed {
            Ok(status)
        } else {
            Err(failed(&format!(
                "{status}, but a process it started still holds its output open"
            )))
        }
    }

    /// Whether the output came to its end, rather than outlive the child.
    fn take_lines(
        &mut self,
        lines: &Receiver<String>,
        child: &mut Child,
        show: fn(&str) -> bool,
    ) -> Result<bool, Trouble> {
        let mut has_ended = false;
        loop {
            match lines.recv_timeout(LEFTOVER_PATIENCE) {
                Ok(line) => {
                    self.record(&line)?;
                    if show(&line) {
                        self.note(&line);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(true),
                Err(RecvTimeoutError::Timeout) if has_ended => return Ok(false),
                Err(RecvTimeoutError::Timeout) => {
                    has_ended = !matches!(child.try_wait(), Ok(None));
                }
            }
        }
    }

    /// A line of the log alone.
    pub(crate) fn record(&mut self, line: &str) -> Result<(), Trouble> {
        writeln!(self.log, "{line}").map_err(|error| Trouble::io("write", &self.log_path, &error))
    }
}

fn read_lines(reader: PipeReader) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            if sender
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                break;
            }
        }
    });
    lines
}

/// As `cargo run` says it: where two checkouts share a target folder, cargo may take an xtask that
/// was built in one for that of the other.
pub(crate) fn root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest.parent().unwrap_or(&manifest).to_path_buf()
}

/// Where cargo builds, as far as the environment says; a `build.target-dir` set elsewhere only
/// means that the logs are not beside it.
fn target_folder(root: &Path) -> PathBuf {
    root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| OsString::from("target")))
}

/// The command as one would type it.
fn command_line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        // Writing to a string can't fail.
        let _ = write!(text, " {}", argument.to_string_lossy());
    }
    text
}

/// The test harness's own result lines, which count the tests: they go to the terminal.
pub(crate) fn tells_of_tests(line: &str) -> bool {
    let line = line.trim_start();
    ["test result: ", "Running ", "Doc-tests "]
        .iter()
        .any(|start| line.starts_with(start))
        || line.contains(" has been running for over ")
}

/// Lines of cargo and of the test harness that tell of nothing wrong.
fn is_routine(line: &str) -> bool {
    const VERBS: [&str; 11] = [
        "Adding",
        "Blocking",
        "Checking",
        "Compiling",
        "Documenting",
        "Downloaded",
        "Downloading",
        "Fresh",
        "Generated",
        "Locking",
        "Updating",
    ];
    let is_progress = line.starts_with(' ')
        && line
            .split_whitespace()
            .next()
            .is_some_and(|word| VERBS.contains(&word));
    is_progress
        || (line.starts_with("test ") && line.ends_with(" ... ok"))
        // Those of tests that failed have a sentence of their own, and this count was shown.
        || line.starts_with("test result: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str) -> Shell {
        Shell::open(&format!("selftest-{name}"), "a test of xtask").expect("target is writable")
    }

    fn sh(shell: &Shell, script: &str) -> Command {
        let mut command = shell.command("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_are_logged_in_order() {
        let mut shell = shell("order");
        let command = sh(&shell, "echo one; echo two >&2; echo three");
        assert_eq!(shell.run(command), Ok(()));
        assert_eq!(shell.findings()[1..], ["one", "two", "three"]);
    }

    #[test]
    fn a_failure_names_the_command_and_the_code() {
        let mut shell = shell("failure");
        let command = sh(&shell, "exit 3");
        let Err(Trouble::Failed(reason)) = shell.run(command) else {
            panic!("exit 3 passed")
        };
        assert_eq!(reason, "`sh -c exit 3`: exit status: 3");
    }

    #[test]
    fn of_commands_together_all_run_and_the_one_that_failed_is_named() {
        let mut shell = shell("together");
        let commands = ["echo one", "echo two; exit 3", "echo three"].map(|text| sh(&shell, text));
        let Err(Trouble::Failed(reason)) = shell.run_together(commands.into()) else {
            panic!("exit 3 passed")
        };
        assert_eq!(reason, "`sh -c echo two; exit 3`: exit status: 3");
        let findings = shell.findings();
        for line in ["one", "two", "three"] {
            assert!(findings.iter().any(|found| found == line), "{findings:?}");
        }
    }

    #[test]
    fn a_process_left_behind_is_a_failure_not_a_hang() {
        let mut shell = shell("leftover");
        let command = sh(&shell, "sleep 30 & echo $!");
        let result = shell.run(command);
        let process = shell.findings().pop().unwrap_or_default();
        let killed = sh(&shell, &format!("kill {process}"));
        assert_eq!(
            shell.run(killed),
            Ok(()),
            "the sleeper {process:?} was there"
        );
        let Err(Trouble::Failed(reason)) = result else {
            panic!("the sleeper was not noticed")
        };
        assert!(reason.ends_with("still holds its output open"), "{reason}");
    }

    #[test]
    fn only_healthy_lines_are_routine() {
        for line in [
            "   Compiling libc v0.2.0",
            "    Checking xtask",
            "test url::parse ... ok",
        ] {
            assert!(is_routine(line), "{line}");
        }
        for line in [
            "error[E0432]: unresolved import",
            "test url::parse ... FAILED",
            "Checking",
            "",
            "test",
        ] {
            assert!(!is_routine(line), "{line}");
        }
    }
}

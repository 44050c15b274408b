//! A process on one core, which is told to end by the end of its input.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// Lines of a failure's standard error that the report shows.
const COMPLAINT_LINES: usize = 4;

#[derive(Debug)]
pub(super) struct Pinned {
    child: Child,
    /// What it writes to standard error.
    complaints: PathBuf,
}

impl Pinned {
    /// Starts `words` on `core`, with pipes as standard input and output.
    pub(super) fn start(core: usize, words: &[String], complaints: &Path) -> Result<Self, String> {
        let file = File::create(complaints)
            .map_err(|error| format!("cannot write {}: {error}", complaints.display()))?;
        let child = Command::new("taskset")
            .args(["--cpu-list", &core.to_string()])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(|error| format!("cannot start taskset: {error}"))?;
        Ok(Self {
            child,
            complaints: complaints.to_owned(),
        })
    }

    /// taskset becomes the program, so this is the program's own.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn take_output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(super) fn write_line(&mut self) -> io::Result<()> {
        match &mut self.child.stdin {
            Some(input) => io::Write::write_all(input, b"\n"),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Closes its input and waits for it; after `patience` it is killed.
    pub(super) fn end(&mut self, patience: Duration) -> Result<ExitStatus, String> {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(LOOK_INTERVAL),
                Ok(None) => {
                    // That it has ended meanwhile is as good.
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    return Err(format!(
                        "it had to be killed after {} s",
                        patience.as_secs()
                    ));
                }
                Err(error) => return Err(format!("cannot wait for it: {error}")),
            }
        }
    }

    /// What it said last, in one line; empty if nothing.
    pub(super) fn complaint(&self) -> String {
        let text = fs::read(&self.complaints).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&text), COMPLAINT_LINES)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Nothing that a failed run has started may go on.
        let _ = self.end(Duration::from_secs(4));
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(count)..].join(" | ")
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;
    use crate::bench::machine::allowed_cores;

    fn start(name: &str, script: &str) -> Pinned {
        let file = env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let words = ["sh", "-c", script].map(String::from);
        let core = allowed_cores()
            .first()
            .copied()
            .expect("this runs on a core");
        Pinned::start(core, &words, &file).expect("taskset and sh are there")
    }

    #[test]
    fn the_end_of_its_input_ends_it_and_its_complaint_is_kept() {
        let mut process = start(
            "polite",
            "read line; echo one >&2; echo >&2; echo two >&2; exit 3",
        );
        let status = process.end(Duration::from_secs(60)).expect("it is polite");
        assert_eq!(status.code(), Some(3));
        assert_eq!(process.complaint(), "one | two");
        fs::remove_file(&process.complaints).expect("the file is ours");
    }

    #[test]
    fn one_that_does_not_end_is_killed() {
        let mut process = start("deaf", "exec sleep 60");
        assert!(process.end(Duration::from_millis(20)).is_err());
        assert!(process.has_ended());
        fs::remove_file(&process.complaints).expect("the file is ours");
    }

    #[test]
    fn only_the_last_lines_are_shown() {
        assert_eq!(last_lines("a\nb\n\nc\n", 2), "b | c");
        assert_eq!(last_lines("", 2), "");
    }
}

//! Processes of a test: started, talked to, waited for within limits, and ended.

pub(crate) mod certificates;

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Far longer than anything takes here; what takes longer hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

/// The command.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_stream-socket");

/// A server: the command, running, with its sockets bound.
pub(crate) struct Server {
    child: Child,
    urls: Vec<String>,
    log: Receiver<String>,
    seen: Vec<String>,
}

impl Server {
    /// `stream-socket relay` with these words, once it has printed what it listens on.
    pub(crate) fn relay(words: &str) -> Self {
        let mut command = Command::new(BINARY);
        command.arg("relay").args(words.split_whitespace());
        Self::start_command(command, 1)
    }

    /// `stream-socket serve` with these words, once it has printed a URL for each one among them.
    pub(crate) fn start(words: &str) -> Self {
        let urls = words.split_whitespace().filter(|word| word.contains("://"));
        let mut command = Command::new(BINARY);
        command.arg("serve").args(words.split_whitespace());
        Self::start_command(command, urls.count())
    }

    /// A command line that ends in a server, once it has printed so many URLs.
    pub(crate) fn start_command(mut command: Command, urls: usize) -> Self {
        let mut child = command
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let printed = lines(child.stdout.take().unwrap());
        let log = lines(child.stderr.take().unwrap());
        let mut server = Self {
            child,
            urls: Vec::new(),
            log,
            seen: Vec::new(),
        };
        for _ in 0..urls {
            match printed.recv_timeout(LIMIT) {
                Ok(url) => server.urls.push(url),
                Err(_) => panic!("no URL from {command:?}: {}", server.whole_log()),
            }
        }
        server
    }

    pub(crate) fn url(&self) -> &str {
        &self.urls[0]
    }

    pub(crate) fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The port of the first URL.
    pub(crate) fn port(&self) -> &str {
        self.url().rsplit_once(':').unwrap().1
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of the log that contains `text`.
    pub(crate) fn wait_for_log(&mut self, text: &str) -> String {
        loop {
            match self.log.recv_timeout(LIMIT) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => panic!("no {text:?} in the log ({error}): {:#?}", self.seen),
            }
        }
    }

    /// The processor time that it has used so far, in hundredths of a second: proc_pid_stat(5).
    pub(crate) fn processor_time(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let fields: Vec<_> = fields.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// How many descriptors it has of a kind: what they are links to begins so, as proc(5) has it.
    pub(crate) fn descriptors(&self, kind: &str) -> usize {
        let list = std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap();
        let links = list.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links
            .filter(|link| {
                link.as_os_str()
                    .as_encoded_bytes()
                    .starts_with(kind.as_bytes())
            })
            .count()
    }

    /// Waits until it has no more than so many sockets.
    #[track_caller]
    pub(crate) fn lets_go_of_all_but(&self, sockets: usize) {
        let begun = Instant::now();
        while self.descriptors("socket:") > sockets {
            let left = self.descriptors("socket:");
            assert!(
                begun.elapsed() < LIMIT,
                "{left} sockets are left of {sockets}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// While nothing happens, nothing is done.
    #[track_caller]
    pub(crate) fn rests(&self) {
        let before = self.processor_time();
        shell("sleep 0.5", &[]);
        let used = self.processor_time() - before;
        assert!(
            used < 10,
            "{used} hundredths of a second in half a second of rest"
        );
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Waits for its end: how it ended, and its whole log.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let log = self.whole_log();
        (self.child.wait().unwrap(), log)
    }

    /// Ends it by TERM, which must succeed; its whole log.
    pub(crate) fn end(self) -> String {
        self.signal("TERM");
        let (status, log) = self.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        log
    }

    /// All lines until the process has closed its standard error.
    fn whole_log(&mut self) -> String {
        loop {
            match self.log.recv_timeout(LIMIT) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return self.seen.join("\n"),
                Err(RecvTimeoutError::Timeout) => {
                    _ = self.child.kill();
                    panic!("it did not end: {:#?}", self.seen);
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The children of a process with one thread, zombies among them: proc_pid_task_tid_children(5).
pub(crate) fn children(process: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = list.unwrap();
    let numbers = children.split_whitespace().map(|id| id.parse().unwrap());
    numbers.collect()
}

pub(crate) fn signal(process: u32, name: &str) {
    let script = format!("kill -{name} {process}");
    let status = Command::new("sh").args(["-c", &script]).status().unwrap();
    assert!(status.success(), "{script}");
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            _ = sender.send(line);
        }
    });
    receiver
}

/// How a process ended, and what it wrote.
pub(crate) struct Outcome {
    script: String,
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Outcome {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    /// Exit code 0 and this on standard output.
    #[track_caller]
    pub(crate) fn prints(&self, expected: &str) {
        assert_eq!((self.code, self.text()), (Some(0), expected), "{self:?}");
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}", self.script)?;
        writeln!(f, "exit code: {:?}", self.code)?;
        writeln!(
            f,
            "stdout: {}",
            String::from_utf8_lossy(&self.out).escape_debug()
        )?;
        writeln!(f, "stderr: {}", self.err)
    }
}

/// Runs a bash script, in which `$BIN` is the command, within a limit in time; its exit code is
/// that of the last part of a pipe that failed.
pub(crate) fn shell(script: &str, variables: &[(&str, &str)]) -> Outcome {
    let mut running = Script::start(script, variables);
    let child = &mut running.child;
    drop(child.stdin.take());
    let mut out = Vec::new();
    let errors = lines(child.stderr.take().unwrap());
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    let code = child.wait().unwrap().code();
    let err: Vec<String> = errors.iter().collect();
    let err = err.join("\n");
    let script = script.to_owned();
    let outcome = Outcome {
        script,
        code,
        out,
        err,
    };
    assert_ne!(outcome.code, Some(124), "it hangs: {outcome:?}");
    outcome
}

/// A bash script under way, whose standard streams are the test's.
pub(crate) struct Script {
    pub(crate) child: Child,
}

impl Script {
    pub(crate) fn start(script: &str, variables: &[(&str, &str)]) -> Self {
        let child = Command::new("timeout")
            .args([
                "--kill-after=1",
                "30",
                "bash",
                "-o",
                "pipefail",
                "-c",
                script,
            ])
            .env("BIN", BINARY)
            .env("TZ", "UTC")
            // bash warns of a locale that is not installed.
            .env("LC_ALL", "C.UTF-8")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child }
    }

    /// The first line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let mut byte = [0];
        let stdout = self.child.stdout.as_mut().unwrap();
        while stdout.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            line.push(char::from(byte[0]));
        }
        line
    }

    pub(crate) fn write(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
    }

    /// Closes its input; the rest of what it prints.
    pub(crate) fn finish(mut self) -> (Option<i32>, String) {
        drop(self.child.stdin.take());
        let mut text = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut text).unwrap();
        (self.child.wait().unwrap().code(), text)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // TERM, which timeout(1) hands on to all that it has started.
        if let Ok(None) = self.child.try_wait() {
            signal(self.child.id(), "TERM");
            _ = self.child.wait();
        }
    }
}

/// A folder for socket files, gone after the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }
}

/// A port that was free just now, for what does not tell which one it was given: below those that
/// connections come from (`ip_local_port_range`), of which other tests make thousands.
pub(crate) fn free_port() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut ports = std::iter::repeat_with(|| {
        let number = std::process::id() * 100 + NEXT.fetch_add(1, Ordering::Relaxed);
        20_000 + number % 12_000
    });
    let is_free = |port: &u32| TcpListener::bind(format!("127.0.0.1:{port}")).is_ok();
    ports.find(is_free).unwrap().to_string()
}

/// A name in the abstract namespace that no other test has.
pub(crate) fn abstract_name(what: &str) -> String {
    format!("stream-socket-test-{what}-{}", std::process::id())
}

/// Whether the tests run as root, who alone may become somebody else or use low ports.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

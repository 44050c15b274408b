//! `stream_socket_serve` with clients of other processes: crowds, and the same bytes as one at
//! a time.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stream_socket::engine::raise_descriptor_limit;

use super::{bounded, php, root};

/// What a process of a crowd has open besides.
const OTHER_DESCRIPTORS: u64 = 200;

/// A server, what it said first, and how it is told to end.
struct Server {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    first: String,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        assert!(!first.is_empty(), "{command:?} says nothing");
        let first = first.trim().to_owned();
        Self { child, said, first }
    }

    /// Has it drain; what it says of that.
    fn drained(mut self) -> String {
        // The program of that name is a package which not every system has.
        let killed = Command::new("sh")
            .arg("-c")
            .arg(format!("kill {}", self.child.id()))
            .status()
            .unwrap();
        assert!(killed.success());
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        rest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn script(name: &str) -> String {
    let path = root().join("tests/php/serve").join(name);
    path.to_string_lossy().into_owned()
}

fn crowd_server() -> Server {
    let mut command = php(true);
    command.args(["-d", "fiber.stack_size=128K"]);
    command.arg(script("crowd/server.php"));
    Server::start(command)
}

/// What `count` clients were told, with `silent` ones beside them.
fn crowd(url: &str, count: u64, silent: u64) -> String {
    let mut command = php(false);
    command.arg("-n").arg(script("crowd/clients.php"));
    command.args([url, &count.to_string(), &silent.to_string()]);
    String::from_utf8_lossy(&bounded(command).stdout).into_owned()
}

#[allow(clippy::print_stderr, reason = "says why it is skipped")]
/// Whether a process may have so many connections; without that there is no such test.
fn may_have(connections: u64) -> bool {
    let wanted = connections + OTHER_DESCRIPTORS;
    let enough = raise_descriptor_limit()
        .unwrap()
        .is_none_or(|limit| limit >= wanted);
    if !enough {
        eprintln!("skipped: {wanted} descriptors are wanted, see ulimit -Hn");
    }
    enough
}

/// The number that a line of JSON has for a key.
fn number(line: &str, key: &str) -> u64 {
    let (_, after) = line.split_once(&format!("\"{key}\":")).unwrap();
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[test]
fn five_thousand_are_answered_while_others_say_nothing() {
    if !may_have(5500) {
        return;
    }
    let server = crowd_server();
    for (scheme, address) in ["tcp", "udp"].into_iter().zip(server.first.split(' ')) {
        let url = format!("{scheme}://{address}");
        assert_eq!(crowd(&url, 5000, 500), "[5000,5000]\n", "{url}");
    }
    let counters = server.drained();
    assert!(number(&counters, "peak") >= 5500, "{counters}");
    assert_eq!(number(&counters, "failed"), 0, "{counters}");
}

#[test]
fn fifteen_thousand_are_served_by_one_process() {
    if !may_have(15_000) {
        return;
    }
    let server = crowd_server();
    let (address, _) = server.first.split_once(' ').unwrap();
    assert_eq!(
        crowd(&format!("tcp://{address}"), 14_900, 100),
        "[14900,14900]\n"
    );
    let counters = server.drained();
    assert!(number(&counters, "peak") >= 15_000, "{counters}");
}

/// The names of the handlers, as PHP tells them.
fn handlers() -> Vec<String> {
    let code = "foreach (array_keys(require $argv[1]) as $name) { echo $name, \"\\n\"; }";
    let mut command = php(false);
    command.args(["-n", "-r", code, "--", &script("differential/handlers.php")]);
    let names = String::from_utf8_lossy(&bounded(command).stdout).into_owned();
    names.lines().map(str::to_owned).collect()
}

/// What each of the clients was told by a handler.
fn told(handler: &str, seed: u32, is_ours: bool) -> String {
    let how = if is_ours { "many" } else { "one" };
    let mut command = php(is_ours);
    if !is_ours {
        command.arg("-n");
    }
    command
        .arg(script("differential/server.php"))
        .args([handler, how]);
    let server = Server::start(command);
    let mut command = php(false);
    command.arg("-n").arg(script("differential/clients.php"));
    command.args([&server.first, &seed.to_string(), "40", how]);
    String::from_utf8_lossy(&bounded(command).stdout).into_owned()
}

#[test]
fn many_at_once_are_told_what_stock_php_tells_one_at_a_time() {
    let begun = Instant::now();
    let handlers = handlers();
    assert!(handlers.len() > 10, "{handlers:?}");
    for (handler, seed) in handlers.iter().zip(1..) {
        let one = told(handler, seed, false);
        assert!(one.lines().count() == 40, "{handler}: {one}");
        assert!(!one.contains("unfinished"), "{handler}: {one}");
        assert_eq!(told(handler, seed, true), one, "{handler}, seed {seed}");
    }
    assert!(begun.elapsed() < Duration::from_secs(600));
}

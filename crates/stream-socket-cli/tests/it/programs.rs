//! A program for each connection: what it is given, how many there are at once, and how they end.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{BINARY, Folder, LIMIT, Script, Server, abstract_name, shell};

/// `stream-socket serve` with these words, and a program for each connection.
pub(crate) fn serve(words: &str, program: &[&str]) -> Server {
    let mut command = Command::new(BINARY);
    command.arg("serve").args(words.split_whitespace());
    command.arg("--").args(program);
    Server::start_command(command, words.matches("://").count())
}

/// What a program prints to a client that says nothing.
fn printed(server: &Server) -> String {
    let mut text = String::new();
    connect(server).read_to_string(&mut text).unwrap();
    text
}

fn connect(server: &Server) -> TcpStream {
    let address = server.url().strip_prefix("tcp://").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Sends a byte to a program that sends it back.
fn ask(mut stream: &TcpStream) {
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
}

/// The number of the process that a line of the log tells of.
pub(crate) fn process(line: &str) -> u32 {
    let (_, rest) = line.split_once("process=").expect(line);
    let (number, _) = rest.split_once(' ').unwrap();
    number.parse().unwrap()
}

pub(crate) fn exists(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

/// The children of all its threads, zombies among them: proc_pid_task_tid_children(5).
pub(crate) fn children(server: &Server) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
    let children = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")));
    children
        .map(|list| list.unwrap().split_whitespace().count())
        .sum()
}

#[test]
fn a_program_serves_any_transport_until_its_client_ends() {
    let folder = Folder::new();
    let (path, name) = (folder.text("cat"), abstract_name("cat"));
    let words = format!("tcp://127.0.0.1:0 tcp://[::1]:0 unix://{path} unix://@{name}");
    let mut server = serve(&words, &["cat"]);
    let expected = shell("seq 200000 | cksum", &[]);
    for url in server.urls().to_vec() {
        let client = "seq 200000 | $BIN connect $URL --timeout 30s | cksum";
        shell(client, &[("URL", &url)]).prints(expected.text());
        let line = server.wait_for_log("closed");
        assert!(line.contains("status=\"exit status: 0\""), "{line}");
    }
    let variables = [("PORT", server.port()), ("NAMED", path.as_str())];
    for client in [
        "seq 200000 | nc.openbsd -N 127.0.0.1 $PORT",
        "seq 200000 | ncat 127.0.0.1 $PORT",
        "seq 200000 | socat -t10 - UNIX-CONNECT:$NAMED",
    ] {
        shell(&format!("{client} | cksum"), &variables).prints(expected.text());
    }
    server.end();
    assert!(!Path::new(&path).exists());
}

/// A program of the eighties knows nothing of `EAGAIN`.
#[test]
fn its_socket_blocks_for_a_megabyte_each_way() {
    let slow = "
import os, sys, time
sys.stderr.close()
sys.stdout.write(f'{os.get_blocking(0)} {os.get_blocking(1)}\\n' + 'x' * (1 << 20))
sys.stdout.flush()
count = 0
while chunk := os.read(0, 10000):
    count += len(chunk)
    time.sleep(0.001)
print('', count, flush=True)";
    let server = serve("tcp://127.0.0.1:0", &["python3", "-c", slow]);
    let client = "head -c 1048576 /dev/zero | $BIN connect $URL --timeout 30s | tr -d x";
    shell(client, &[("URL", server.url())]).prints("True True\n 1048576\n");
    server.end();
}

/// The variables of UCSPI among what `env` prints, in order.
pub(crate) fn variables(environment: &str) -> Vec<&str> {
    let ours = |line: &&str| {
        ["PROTO=", "TCP", "UDG", "UDP", "UNIX"]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let mut found: Vec<_> = environment.lines().filter(ours).collect();
    found.sort_unstable();
    found
}

#[test]
fn over_tcp_it_is_told_both_addresses() {
    for (url, to, ip) in [
        ("tcp://127.0.0.1:0", "127.0.0.1", "127.0.0.1"),
        ("tcp://[::1]:0", "[::1]", "::1"),
        ("tcp://[::]:0?v6only=0", "127.0.0.1", "127.0.0.1"),
        ("tcp://[::]:0?v6only=0", "[::1]", "::1"),
    ] {
        let server = serve(url, &["env"]);
        let address: SocketAddr = format!("{to}:{}", server.port()).parse().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        let (mut text, source) = (String::new(), client.local_addr().unwrap().port());
        client.read_to_string(&mut text).unwrap();
        let expected = [
            "PROTO=TCP".to_owned(),
            format!("TCPLOCALIP={ip}"),
            format!("TCPLOCALPORT={}", server.port()),
            format!("TCPREMOTEIP={ip}"),
            format!("TCPREMOTEPORT={source}"),
        ];
        assert_eq!(variables(&text), expected, "{url} {to}");
        server.end();
    }
}

#[test]
fn over_unix_it_is_told_names_and_credentials() {
    let folder = Folder::new();
    let (path, bound, name) = (
        folder.text("env"),
        folder.text("client"),
        abstract_name("env"),
    );
    let server = serve(&format!("unix://{path} unix://@{name}"), &["env"]);
    // An argument can't hold an abstract name as it is.
    let client = "python3 -c '
import os, socket, sys
to, source = [name.replace(\"@\", \"\\0\") for name in sys.argv[1:]]
s = socket.socket(socket.AF_UNIX)
if source: s.bind(source)
s.connect(to)
print(os.getpid(), os.geteuid(), os.getegid())
print(s.makefile().read())' \"$TO\" \"$FROM\"";
    for (to, from) in [
        (path.clone(), String::new()),
        (path, bound),
        (format!("@{name}"), format!("@{name}-client")),
    ] {
        let outcome = shell(client, &[("TO", &to), ("FROM", &from)]);
        let (credentials, environment) = outcome.text().split_once('\n').unwrap();
        let credentials: Vec<_> = credentials.split(' ').collect();
        let mut expected = vec!["PROTO=UNIX".to_owned(), format!("UNIXLOCALPATH={to}")];
        expected.push(format!("UNIXREMOTEEGID={}", credentials[2]));
        expected.push(format!("UNIXREMOTEEUID={}", credentials[1]));
        if !from.is_empty() {
            expected.push(format!("UNIXREMOTEPATH={from}"));
        }
        expected.push(format!("UNIXREMOTEPID={}", credentials[0]));
        assert_eq!(variables(environment), expected, "{outcome:?}");
    }
    server.end();
}

/// A server that is itself a program of such a server.
#[test]
fn what_another_server_said_of_another_connection_is_not_handed_on() {
    let folder = Folder::new();
    let unix = format!("unix://{}", folder.text("env"));
    let mut command = Command::new(BINARY);
    command.args(["serve", "tcp://127.0.0.1:0", &unix, "--", "env"]);
    for variable in [
        "PROTO",
        "TCPREMOTEIP",
        "TCPREMOTEPORT",
        "TCPREMOTEHOST",
        "TCPREMOTEINFO",
        "TCPLOCALIP",
        "TCPLOCALPORT",
        "TCPLOCALHOST",
        "UNIXREMOTEPATH",
        "UNIXREMOTEPID",
        "UNIXREMOTEEUID",
        "UNIXREMOTEEGID",
        "UNIXLOCALPATH",
    ] {
        command.env(variable, "another");
    }
    let server = Server::start_command(command, 2);
    let tcp = printed(&server);
    let mut text = String::new();
    let mut stream = UnixStream::connect(folder.path("env")).unwrap();
    stream.read_to_string(&mut text).unwrap();
    for environment in [&tcp, &text] {
        let told = variables(environment);
        assert!(
            !told.iter().any(|line| line.contains("another")),
            "{told:?}"
        );
    }
    assert_eq!((variables(&tcp).len(), variables(&text).len()), (5, 5));
    server.end();
}

#[test]
fn it_has_the_standard_descriptors_and_no_other() {
    let list = "for i in {0..1023}; do
        [ -e /proc/$$/fd/$i ] && echo $i $(readlink /proc/$$/fd/$i | tr -d 0-9)
    done";
    // Whoever started the tests may have left some open, which any program has.
    let anyway = Command::new("bash").args(["-c", list]).output().unwrap();
    let anyway = String::from_utf8(anyway.stdout).unwrap();
    let anyway: String = anyway.split_inclusive('\n').skip(3).collect();
    let server = serve("tcp://127.0.0.1:0 --threads 4", &["bash", "-c", list]);
    let held: Vec<_> = (0..4).map(|_| connect(&server)).collect();
    let expected = format!("0 socket:[]\n1 socket:[]\n2 pipe:[]\n{anyway}");
    assert_eq!(printed(&server), expected);
    drop(held);
    server.end();
}

#[test]
fn signals_are_to_it_what_they_are_to_any_program() {
    let status = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"];
    let server = serve("tcp://127.0.0.1:0", &status);
    let text = printed(&server);
    let [blocked, ignored] = ["SigBlk:\t", "SigIgn:\t"].map(|name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.expect(&text), 16).unwrap()
    });
    assert_eq!(blocked, 0, "{text}");
    // PIPE, TERM, CHLD: signal(7). Others may have been ignored by who started the tests.
    for number in [13, 15, 17] {
        assert_eq!(ignored >> (number - 1) & 1, 0, "{number}: {text}");
    }
    server.end();
}

/// Programs that use select(2) break when they may have more descriptors than they were told.
#[test]
fn its_limit_of_descriptors_is_that_of_who_started_the_server() {
    let mut command = Command::new("bash");
    let script =
        format!("ulimit -Sn 300; exec {BINARY} serve tcp://127.0.0.1:0 -- sh -c 'ulimit -n'");
    command.args(["-c", &script]);
    let server = Server::start_command(command, 1);
    assert_eq!(printed(&server), "300\n");
    server.end();
}

#[test]
fn how_it_ended_is_logged() {
    let end = "read -r end; case $end in signal) kill -9 $$;; *) exit $end;; esac";
    let mut server = serve("tcp://127.0.0.1:0", &["bash", "-c", end]);
    for (end, status) in [
        ("0", "exit status: 0"),
        ("3", "exit status: 3"),
        ("255", "exit status: 255"),
        ("signal", "signal: 9 (SIGKILL)"),
    ] {
        let mut client = connect(&server);
        writeln!(client, "{end}").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        let line = server.wait_for_log("closed");
        let peer = format!("peer=tcp://{} ", client.local_addr().unwrap());
        let status = format!("status=\"{status}\"");
        assert!(line.contains(&status) && line.contains(&peer), "{line}");
        assert!(!exists(process(&line)), "{line}");
    }
    assert_eq!(children(&server), 0);
    server.end();
}

#[test]
fn a_program_that_does_not_exist_ends_its_connection_alone() {
    let folder = Folder::new();
    let program = folder.text("program");
    let mut server = serve("tcp://127.0.0.1:0 --max-connections 1", &[&program]);
    for _ in 0..3 {
        assert_eq!(printed(&server), "");
        let line = server.wait_for_log("error: cannot start");
        let sentence = format!("cannot start {program}: No such file or directory");
        assert!(line.contains(&sentence), "{line}");
    }
    // It is looked for anew each time.
    symlink("/bin/cat", &program).unwrap();
    ask(&connect(&server));
    server.end();
}

#[test]
fn all_are_reaped() {
    let mut server = serve("tcp://127.0.0.1:0 --threads 2", &["true"]);
    let clients: Vec<_> = (0..100).map(|_| connect(&server)).collect();
    for mut client in clients {
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
    (0..100).for_each(|_| drop(server.wait_for_log("closed")));
    assert_eq!(children(&server), 0);
    server.rests();
    server.end();
}

#[test]
fn so_many_run_at_once_and_the_rest_waits_its_turn() {
    for (flag, most, clients) in [
        ("--max-connections 3 --threads 1", 3, 10),
        ("--max-connections 3 --threads 4", 3, 10),
        ("", 100, 103),
    ] {
        let server = serve(&format!("tcp://127.0.0.1:0 {flag}"), &["cat"]);
        let clients: Vec<_> = (0..clients).map(|_| connect(&server)).collect();
        clients
            .iter()
            .for_each(|mut client| client.write_all(b"x").unwrap());
        for (index, mut next) in clients.iter().enumerate() {
            next.read_exact(&mut [0]).unwrap();
            // From here on there are as many as may be.
            if index + 1 < most {
                continue;
            }
            assert_eq!(
                children(&server),
                most.min(clients.len() - index + most - 1),
                "{flag}"
            );
            if let Some(mut waiting) = clients.get(index + 1) {
                waiting
                    .set_read_timeout(Some(Duration::from_millis(50)))
                    .unwrap();
                let nothing = waiting.read(&mut [0]).unwrap_err();
                assert_eq!(nothing.kind(), ErrorKind::WouldBlock, "{flag} {index}");
                waiting.set_read_timeout(Some(LIMIT)).unwrap();
            }
            clients[index + 1 - most].shutdown(Shutdown::Both).unwrap();
        }
        drop(clients);
        server.end();
    }
}

#[test]
fn a_drain_waits_for_it() {
    let mut server = serve("tcp://127.0.0.1:0 --drain 30s", &["cat"]);
    let mut client = connect(&server);
    ask(&client);
    server.signal("TERM");
    let line = server.wait_for_log("draining");
    assert!(line.contains("connections=1"), "{line}");
    let address = client.peer_addr().unwrap();
    // One loop after the other leaves the listener.
    let begun = Instant::now();
    let refused = loop {
        match TcpStream::connect(address) {
            Ok(_) => assert!(begun.elapsed() < LIMIT),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    ask(&client);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("status=\"exit status: 0\""), "{log}");
}

#[test]
fn the_end_of_a_drain_kills_it() {
    let mut server = serve(
        "tcp://127.0.0.1:0 --drain 300ms --threads 2",
        &["sleep", "1000"],
    );
    let mut clients: Vec<_> = (0..5).map(|_| connect(&server)).collect();
    (0..5).for_each(|_| drop(server.wait_for_log("accepted")));
    let start = Instant::now();
    server.signal("TERM");
    for _ in 0..5 {
        let line = server.wait_for_log("closed");
        let expected = "status=\"signal: 9 (SIGKILL), cut off at the end of the drain\"";
        assert!(line.contains(expected), "{line}");
        assert!(!exists(process(&line)), "{line}");
    }
    assert!(start.elapsed() >= Duration::from_millis(300));
    clients
        .iter_mut()
        .for_each(|client| assert_eq!(client.read(&mut [0]).unwrap(), 0));
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn the_end_of_its_lifetime_kills_it() {
    let mut server = serve("tcp://127.0.0.1:0 --lifetime 300ms", &["cat"]);
    for _ in 0..2 {
        let (mut client, start) = (connect(&server), Instant::now());
        ask(&client);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        // The time begins when it is accepted, which is after it has connected.
        assert!(
            start.elapsed() >= Duration::from_millis(290),
            "{:?}",
            start.elapsed()
        );
        let line = server.wait_for_log("closed");
        let expected = "status=\"signal: 9 (SIGKILL), its lifetime is over\"";
        assert!(line.contains(expected), "{line}");
    }
    assert_eq!(children(&server), 0);
    server.end();
}

#[test]
fn what_it_has_started_is_killed_with_it() {
    let background = "sleep 1000 & echo $!; wait";
    for words in ["--lifetime 300ms", "--drain 300ms"] {
        let words = format!("tcp://127.0.0.1:0 {words}");
        let server = serve(&words, &["sh", "-c", background]);
        let mut client = BufReader::new(connect(&server));
        let mut line = String::new();
        client.read_line(&mut line).unwrap();
        let grandchild: u32 = line.trim().parse().unwrap();
        assert!(exists(grandchild));
        if words.contains("drain") {
            server.signal("TERM");
        }
        // As long as it lived, the connection did not end.
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "{words}");
    }
}

#[test]
fn while_programs_run_the_server_rests() {
    let server = serve("tcp://127.0.0.1:0 --threads 2", &["cat"]);
    let clients: Vec<_> = (0..20).map(|_| connect(&server)).collect();
    clients.iter().for_each(ask);
    server.rests();
    // A client that asks for an end while its program goes on is the program's business.
    clients[0].shutdown(Shutdown::Both).unwrap();
    server.rests();
    drop(clients);
    server.end();
}

#[test]
fn it_serves_a_shell_pipeline() {
    let server = serve("tcp://127.0.0.1:0", &["sh", "-c", "tr a-z A-Z | rev"]);
    let variables = [("URL", server.url())];
    let mut client = Script::start("$BIN connect $URL", &variables);
    client.write("desserts\n");
    assert_eq!(client.finish(), (Some(0), "STRESSED\n".to_owned()));
    server.end();
}

//! `activate`: workers that inherit sockets, what they are given, and how they are kept.

mod guide;
mod reload;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::programs::{exists, process};
use crate::support::{
    BINARY, Folder, LIMIT, Script, Server, abstract_name, children, shell, signal,
};

/// Answers each connection with what it was started with, as the system's own sd_listen_fds(3)
/// and the kernel tell it. It is Debian's python3 that has that.
const TELLER: &str = r#"
import fcntl, os, socket, sys
from systemd import daemon
passed = daemon.listen_fds_with_names(unset_environment=False)
names = ",".join(name for _, name in sorted(passed.items()))
sockets = [socket.socket(fileno=fd) for fd in passed]
kinds = ",".join(s.type.name for s in sockets)
blocking = all(not fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK for s in sockets)
own = os.environ["LISTEN_PID"] == str(os.getpid())
told = [v for v in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_PIDFDID") if v in os.environ]
stdin = os.readlink("/proc/self/fd/0")
lead = os.getpgid(0) == os.getpid()
strays = len(os.listdir("/proc/self/fd")) - 4 - len(sockets)
facts = f"{names} {kinds} {blocking} {own} {told} {stdin} {lead} {strays} {sys.argv[1:]}"
while True:
    client, _ = sockets[0].accept()
    client.sendall(f"{os.getpid()} {facts}\n".encode())
    client.close()
"#;

const TELL: [&str; 3] = ["/usr/bin/python3", "-c", TELLER];

/// `stream-socket activate` with these words, and the program that is to be the worker.
fn activate(words: &str, program: &[&str]) -> Server {
    let mut command = Command::new(BINARY);
    command.arg("activate").args(words.split_whitespace());
    command.arg("--").args(program);
    Server::start_command(command, words.matches("://").count())
}

/// What is answered to a client that says nothing.
fn answer(url: &str) -> String {
    let outcome = shell("$BIN connect $URL </dev/null", &[("URL", url)]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome.text().trim_end().to_owned()
}

/// Which process answers, of those that tell.
fn answering(url: &str) -> u32 {
    let answer = answer(url);
    let (number, _) = answer.split_once(' ').unwrap();
    number.parse().unwrap()
}

fn wait_for_end(process: u32) {
    let begun = Instant::now();
    while exists(process) {
        assert!(begun.elapsed() < LIMIT, "process {process} goes on");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn sockets_of_every_transport_are_inherited() {
    let folder = Folder::new();
    let name = abstract_name("activated");
    for (url, options) in [
        ("tcp://127.0.0.1:0", "--backlog 7 --nodelay"),
        ("tcp://[::1]:0", "--fdname web"),
        ("mptcp://127.0.0.1:0", ""),
        ("udp://127.0.0.1:0", "--workers 2 --receive-buffer 64KiB"),
        (&format!("unix://{}", folder.text("s")), "--mode 0600"),
        (&format!("unix://@{name}"), "--workers 3"),
        (&format!("udg://{}", folder.text("d")), "--mode 0600"),
    ] {
        let server = activate(
            &format!("{url} {options}"),
            &[BINARY, "serve", "systemd://*", "echo"],
        );
        let ask = "printf hello | $BIN connect $URL --wait 1s";
        let outcome = shell(ask, &[("URL", server.url())]);
        assert_eq!(outcome.text(), "hello", "{url}: {outcome:?}");
        server.end();
    }
    for file in ["s", "d"] {
        assert!(!folder.path(file).exists(), "{file} is left");
    }
}

#[test]
fn a_worker_is_given_the_sockets_and_nothing_else() {
    let folder = Folder::new();
    let path = folder.text("admin");
    let script = "exec 7</etc/passwd 9<>/dev/null; export WATCHDOG_USEC=1 LISTEN_PIDFDID=1; \
        exec $BIN activate tcp://localhost:0 unix://$NAMED udp://127.0.0.1:0 \
        --fdname web:admin:dns -- \"$@\"";
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).args(TELL).arg("a b");
    command.env("BIN", BINARY).env("NAMED", &path);
    command.env("NOTIFY_SOCKET", folder.text("nobody"));
    let server = Server::start_command(command, 1);
    let told = answer(server.url());
    let (_, facts) = told.split_once(' ').unwrap();
    // A name of this host may have one address or two.
    let webs = facts.matches("web").count();
    let names = "web,".repeat(webs) + "admin,dns";
    let kinds = "SOCK_STREAM,".repeat(webs) + "SOCK_STREAM,SOCK_DGRAM";
    let rest = "True True [] /dev/null True 0 ['a b']";
    assert_eq!(facts, format!("{names} {kinds} {rest}"));
    server.end();
}

#[test]
fn sockets_of_a_service_manager_are_handed_on_with_their_names() {
    let folder = Folder::new();
    let path = folder.text("s");
    for (options, url, name) in [
        ("--fdname=web", "systemd://web", "web"),
        ("--fdname=web", "systemd://* --fdname other", "other"),
        ("", "fd://3", ""),
    ] {
        let words = format!("{options} -l {path} $BIN activate {url} -- \"$@\"");
        let script = format!("exec systemd-socket-activate {words}");
        let mut command = Command::new("bash");
        command.args(["-c", &script, "bash"]).args(TELL);
        command.env("BIN", BINARY);
        let _server = Server::start_command(command, 0);
        shell("until [ -S $AT ]; do sleep 0.02; done", &[("AT", &path)]).prints("");
        let told = answer(&format!("unix://{path}"));
        let expected = if name.is_empty() { "unknown" } else { name };
        assert!(
            told.contains(&format!(" {expected} SOCK_STREAM True True")),
            "{told}"
        );
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_program_that_can_not_be_started_ends_the_command() {
    for (program, reason) in [
        ("/no/such/program", "No such file or directory (os error 2)"),
        ("/etc/passwd", "Permission denied (os error 13)"),
    ] {
        let words = format!("activate tcp://127.0.0.1:0 --workers 3 --quiet -- {program}");
        let outcome = shell(&format!("$BIN {words}"), &[]);
        let sentence = format!("stream-socket: cannot start {program}: {reason}");
        assert_eq!((outcome.code, &*outcome.err), (Some(1), &*sentence));
    }
}

#[test]
fn a_worker_that_ends_is_started_again() {
    let mut server = activate("tcp://127.0.0.1:0 --workers 2 --settle 0s", &TELL);
    for _ in 0..3 {
        let worker = answering(server.url());
        signal(worker, "KILL");
        let line = server.wait_for_log("ended");
        assert_eq!(process(&line), worker, "{line}");
        assert!(line.contains("status=\"signal: 9 (SIGKILL)\""), "{line}");
        let line = server.wait_for_log("started");
        assert_ne!(process(&format!("{line} ")), worker);
    }
    server.end();
}

#[test]
fn one_that_ends_at_once_is_waited_with_for_longer_each_time() {
    let folder = Folder::new();
    let path = folder.text("may-run");
    let script = "[ -e $0 ] || exit 3; exec \"$@\"";
    let program = [&["sh", "-c", script, &path][..], &TELL].concat();
    let mut server = activate("tcp://127.0.0.1:0 --settle 10s", &program);
    for pause in [100, 200, 400, 800] {
        let line = server.wait_for_log("ended");
        assert!(line.contains("status=\"exit status: 3\""), "{line}");
        let again = format!("again_in_milliseconds={pause}");
        assert!(line.ends_with(&again), "{line}");
    }
    fs::write(&path, "").unwrap();
    // Meanwhile who connects has waited.
    answering(server.url());
    server.end();
}

#[test]
fn workers_may_finish_while_nobody_listens_any_more() {
    let folder = Folder::new();
    let (go, path) = (folder.text("go"), folder.text("s"));
    let script = "trap 'exec 3<&- 4<&-; echo closed >&2; until [ -e $0 ]; do sleep 0.01; done; \
        exit 5' TERM; echo ready >&2; while :; do sleep 0.01; done";
    let words = format!("tcp://127.0.0.1:0 unix://{path} --drain never");
    let mut server = activate(&words, &["sh", "-c", script, &go]);
    server.wait_for_log("ready");
    server.signal("TERM");
    let line = server.wait_for_log("draining");
    assert!(line.contains("signal=\"TERM\" workers=1"), "{line}");
    assert!(!folder.path("s").exists());
    server.wait_for_log("closed");
    let late = shell("$BIN connect $URL </dev/null", &[("URL", server.url())]);
    assert!(late.err.contains("(ECONNREFUSED)"), "{late:?}");
    fs::write(&go, "").unwrap();
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("ended worker=1") && log.contains("exit status: 5"),
        "{log}"
    );
}

#[test]
fn workers_that_do_not_finish_are_killed_with_all_that_they_have_started() {
    let deaf = "trap '' TERM; sleep 1000 & echo ready process=$! . >&2; while :; do sleep 1; done";
    let mut server = activate("tcp://127.0.0.1:0 --drain 300ms", &["sh", "-c", deaf]);
    let sleeper = process(&server.wait_for_log("ready"));
    let log = server.end();
    assert!(log.contains("killed worker=1 process="), "{log}");
    wait_for_end(sleeper);
}

#[test]
fn a_second_signal_ends_all_at_once() {
    for (name, number) in [("TERM", 15), ("INT", 2)] {
        let deaf = "trap '' TERM; echo ready process=$$ . >&2; while :; do sleep 1; done";
        let mut server = activate("tcp://127.0.0.1:0 --drain never", &["sh", "-c", deaf]);
        let worker = process(&server.wait_for_log("ready"));
        server.signal(name);
        server.wait_for_log("draining");
        shell("sleep 0.2", &[]);
        server.signal(name);
        let (status, log) = server.wait();
        assert_eq!(status.signal(), Some(number), "{log}");
        assert!(log.contains("ending at once"), "{log}");
        wait_for_end(worker);
    }
}

#[test]
fn workers_end_with_a_command_that_is_killed() {
    let mut server = activate("tcp://127.0.0.1:0 --workers 2", &TELL);
    let mut started = || process(&format!("{} ", server.wait_for_log("started")));
    let workers = [started(), started()];
    answering(server.url());
    server.signal("KILL");
    for worker in workers {
        wait_for_end(worker);
    }
}

#[test]
fn a_lazy_worker_is_started_by_a_client_and_again_by_the_next_after_its_end() {
    let folder = Folder::new();
    let once = "import os, socket
client, _ = socket.socket(fileno=3).accept()
client.sendall(b'%d' % os.getpid())";
    let datagram = "import socket
s = socket.socket(fileno=3)
s.sendto(b'served', s.recvfrom(9)[1])";
    for (url, ask, program) in [
        ("tcp://127.0.0.1:0", "</dev/null", once),
        (&format!("unix://{}", folder.text("s")), "</dev/null", once),
        (
            "udp://127.0.0.1:0",
            "--wait 20s <<<hello | head -c 1",
            datagram,
        ),
    ] {
        let words = format!("{url} --lazy");
        let mut server = activate(&words, &["/usr/bin/python3", "-c", program]);
        server.wait_for_log("listening");
        for _ in 0..2 {
            server.rests();
            assert!(children(server.id()).is_empty());
            let script = format!("$BIN connect $URL {ask}");
            let outcome = shell(&script, &[("URL", server.url())]);
            assert!(!outcome.out.is_empty(), "{outcome:?}");
            server.wait_for_log("started");
            let line = server.wait_for_log("ended");
            assert!(line.contains("exit status: 0"), "{line}");
        }
        // Nobody is there to be replaced.
        server.signal("HUP");
        server.wait_for_log("nobody to be replaced");
        let log = server.end();
        assert!(log.contains("workers=0"), "{log}");
    }
}

#[test]
fn a_lazy_worker_that_fails_is_started_again_for_the_client_who_waits() {
    let folder = Folder::new();
    let path = folder.text("may-run");
    let script = "[ -e $0 ] && exec \"$@\"; touch $0; exit 3";
    let program = [&["sh", "-c", script, &path][..], &TELL].concat();
    let mut server = activate("tcp://127.0.0.1:0 --lazy", &program);
    answering(server.url());
    let line = server.wait_for_log("ended");
    assert!(line.contains("exit status: 3"), "{line}");
    server.end();
}

#[test]
fn nobody_becomes_a_worker_of_one_that_has_ended() {
    for (parent, told) in [("$$", "started\n0\n"), ("1", "1\n")] {
        let become_worker = "exec -a stream-socket-worker $BIN $0 echo started";
        let script = format!("bash -c '{become_worker}' {parent}; echo $?");
        shell(&script, &[]).prints(told);
    }
}

#[test]
fn process_1_of_a_container_reaps_orphans() {
    // An orphan that has ended in a group of its own, and two of a worker that is killed.
    let script = "setsid sh -c 'sleep 0.1 & sleep 0.2 &' ; sleep 1000 & sleep 1001 & \
        echo ready process=$$ . >&2; wait";
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", BINARY]);
    command.args(["activate", "tcp://127.0.0.1:0", "--", "sh", "-c", script]);
    let mut server = Server::start_command(command, 1);
    server.wait_for_log("ready");
    let init = children(server.id())[0];
    let alone = |former: u32| {
        let begun = Instant::now();
        loop {
            let running = children(init);
            match running[..] {
                [one] if one != former => return one,
                _ => assert!(begun.elapsed() < LIMIT, "{running:?} are left"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    };
    let first = alone(0);
    signal(first, "KILL");
    server.wait_for_log("ready");
    alone(first);
    signal(init, "TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn readiness_is_told_when_workers_run() {
    let folder = Folder::new();
    let path = folder.text("notify");
    let manager = format!(
        "python3 -c \"
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind('{path}')
print('bound', flush=True)
for _ in range(2):
    print(s.recv(100).decode(), flush=True)\""
    );
    let mut manager = Script::start(&manager, &[]);
    assert_eq!(manager.line(), "bound");
    let mut command = Command::new(BINARY);
    command.args(["activate", "tcp://127.0.0.1:0", "--", "cat"]);
    command.env("NOTIFY_SOCKET", &path);
    let mut server = Server::start_command(command, 1);
    server.wait_for_log("started");
    assert_eq!(manager.line(), "READY=1");
    server.end();
    assert_eq!(manager.finish(), (Some(0), "STOPPING=1\n".to_owned()));
}

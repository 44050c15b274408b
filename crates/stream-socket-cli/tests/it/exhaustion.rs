//! No descriptor is left: nobody is lost, and nothing spins.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::{BINARY, Folder, Script, Server, is_root, shell};

/// A server that can't have more than 60 descriptors, whatever it asks for.
fn server(words: &str) -> Server {
    let mut command = Command::new("bash");
    let script = format!("ulimit -n 60; exec {BINARY} serve {words}");
    command.args(["-c", &script]);
    Server::start_command(command, 1)
}

/// `$COUNT` connections, each of which asks at once. Told for how many seconds, it waits so long
/// for the next of them to be answered or closed, lets go of that one, and in the end counts.
const QUEUE: &str = "python3 -c '
import select, socket, sys
port, count, text = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
poll, waiting = select.poll(), {}
for i in range(count):
    s = socket.create_connection((\"127.0.0.1\", port))
    s.sendall(text)
    poll.register(s, select.POLLIN)
    waiting[s.fileno()] = s
print(\"queued\", flush=True)
seconds = int(sys.stdin.readline())
answered = closed = broken = 0
while waiting and (ready := poll.poll(seconds * 1000)):
    for number, _ in ready:
        poll.unregister(number)
        with waiting.pop(number) as s:
            try: got = s.recv(100)
            except OSError: broken += 1; continue
            if got: answered += got == text
            else: closed += 1
print(answered, closed, broken, len(waiting), flush=True)
sys.stdin.read()' $PORT $COUNT \"$TEXT\"";

pub(crate) fn queue(server: &Server, count: usize, text: &str) -> Script {
    let variables = [
        ("PORT", server.port()),
        ("COUNT", &count.to_string()),
        ("TEXT", text),
    ];
    let mut queue = Script::start(QUEUE, &variables);
    assert_eq!(queue.line(), "queued");
    queue
}

/// What became of a queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fates {
    answered: usize,
    closed: usize,
    broken: usize,
    waiting: usize,
}

pub(crate) fn fates(queue: &mut Script, seconds: &str) -> Fates {
    queue.write(seconds);
    let line = queue.line();
    let numbers: Vec<_> = line
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    let [answered, closed, broken, waiting] = numbers[..] else {
        panic!("{line}");
    };
    Fates {
        answered,
        closed,
        broken,
        waiting,
    }
}

const NOBODY: Fates = Fates {
    answered: 0,
    closed: 0,
    broken: 0,
    waiting: 0,
};

pub(crate) const ALL_ANSWERED: Fates = Fates {
    answered: 300,
    ..NOBODY
};

#[test]
fn who_waits_in_the_backlog_is_served_when_there_are_descriptors_again() {
    for threads in ["1", "4"] {
        let mut server = server(&format!("tcp://127.0.0.1:0 echo --threads {threads}"));
        let mut queue = queue(&server, 300, "hello");
        server.wait_for_log("warning: refused");
        server.rests();
        assert_eq!(fates(&mut queue, "20\n"), ALL_ANSWERED, "{threads} threads");
        queue.finish();
        server.wait_for_log("no longer refused");
        server.rests();
        let log = server.end();
        assert!(!log.contains("error"), "{log}");
        assert_eq!(log.matches(" accepted ").count(), 300, "{threads} threads");
    }
}

#[test]
fn newcomers_are_closed_instead_if_that_was_asked() {
    for threads in ["1", "4"] {
        let words = format!("tcp://127.0.0.1:0?close_when_full=1 echo --threads {threads}");
        let server = server(&words);
        // What is kept free to close them with must be there again each time.
        for _ in 0..2 {
            let mut queue = queue(&server, 200, "");
            let fates = fates(&mut queue, "1\n");
            assert!(
                (20..60).contains(&fates.waiting) && fates.closed == 200 - fates.waiting,
                "{threads} threads: {fates:?}"
            );
            queue.finish();
            let hello = "echo hello | $BIN connect 127.0.0.1:$PORT";
            shell(hello, &[("PORT", server.port())]).prints("hello\n");
        }
        server.end();
    }
}

#[test]
fn a_lack_of_descriptors_is_told_once() {
    let mut server = server("tcp://127.0.0.1:0 echo");
    let mut queue = queue(&server, 300, "hello");
    server.wait_for_log("warning: refused");
    // Long enough for more reports, were there any.
    shell("sleep 3", &[]);
    assert_eq!(fates(&mut queue, "20\n"), ALL_ANSWERED);
    queue.finish();
    server.wait_for_log("no longer refused");
    let log = server.end();
    assert_eq!(log.matches("warning").count(), 1, "{log}");
}

/// What accepts has taken the last descriptor, and to start a program takes some more.
#[test]
fn who_finds_no_descriptor_for_his_program_waits_for_one() {
    for threads in ["1", "2"] {
        let mut command = Command::new("bash");
        let words = format!("tcp://127.0.0.1:0 --threads {threads} -- cat");
        let script = format!("ulimit -n 24; exec {BINARY} serve {words}");
        command.args(["-c", &script]);
        let server = Server::start_command(command, 1);
        let mut queue = queue(&server, 60, "hello");
        let expected = Fates {
            answered: 60,
            ..NOBODY
        };
        assert_eq!(fates(&mut queue, "20\n"), expected, "{threads} threads");
        queue.finish();
        server.rests();
        let log = server.end();
        assert!(!log.contains(" error: "), "{log}");
        let statuses = log.matches("status=\"exit status: 0\"").count();
        assert_eq!(statuses, 60, "{threads} threads: {log}");
    }
}

/// The system has no processes left for the server's user; then it has some again.
#[test]
fn who_finds_no_process_for_his_program_waits_for_one() {
    if !is_root() {
        return;
    }
    // The binary's own folder may be closed to others. The limit is not one for root.
    let folder = Folder::new();
    let copy = folder.path("stream-socket");
    std::fs::copy(BINARY, &copy).unwrap();
    for path in [folder.root(), &copy] {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new("bash");
    let become_somebody = "setpriv --reuid=64123 --regid=64123 --clear-groups";
    let words = "serve tcp://127.0.0.1:0 --threads 2 --drain 30s -- cat";
    let script = format!("exec {become_somebody} {} {words}", copy.display());
    command.args(["-c", &script]);
    let mut server = Server::start_command(command, 1);
    let id = server.id().to_string();
    let limit = |count: &str| {
        let script = format!("{become_somebody} prlimit --pid $ID --nproc=$COUNT:");
        shell(&script, &[("ID", &id), ("COUNT", count)]).prints("");
    };
    limit("1");
    let mut queue = queue(&server, 60, "hello");
    shell("sleep 2.5", &[]);
    limit("1000");
    let expected = Fates {
        answered: 60,
        ..NOBODY
    };
    assert_eq!(fates(&mut queue, "20\n"), expected);
    queue.finish();
    server.wait_for_log("connections wait: Resource temporarily unavailable");
    let log = server.end();
    assert!(!log.contains(" error: "), "{log}");
    let told = log.matches("connections wait").count();
    assert!((1..=4).contains(&told), "{log}");
}

//! A target that is not there, and no descriptor or port left: as docs/relay.md has it, all is well
//! again afterwards, and nothing is left behind.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::exhaustion::{ALL_ANSWERED, fates, queue};
use crate::support::{BINARY, Folder, LIMIT, Script, Server, free_port, is_root, shell};

/// Sends a word through the relay to an echo.
const ASK: &str = "printf hello | $BIN connect $URL --timeout 20s";

fn ask(relay: &Server) -> String {
    shell(ASK, &[("URL", relay.url())]).text().to_owned()
}

/// A relay from tcp in a shell of its own, where something has been done before.
fn relay_after(preparation: &str, words: &str) -> Server {
    let mut command = Command::new("bash");
    let script = format!("{preparation}; exec {BINARY} relay tcp://127.0.0.1:0 {words}");
    command.args(["-c", &script]);
    Server::start_command(command, 1)
}

fn connect(relay: &Server) -> TcpStream {
    let address = relay.url().strip_prefix("tcp://").unwrap();
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client
}

/// Clients at once, each of whom finds that the relay has given up; the time that took.
fn all_are_given_up(relay: &Server, count: usize) -> Duration {
    let begun = Instant::now();
    let clients: Vec<_> = (0..count).map(|_| connect(relay)).collect();
    for mut client in clients {
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    }
    begun.elapsed()
}

#[test]
fn a_target_that_refuses_is_tried_for_a_time() {
    let target = format!("tcp://127.0.0.1:{}", free_port());
    let relay = Server::relay(&format!("tcp://127.0.0.1:0 {target} --retry 300ms"));
    all_are_given_up(&relay, 1);
    // It is closed before it reads an end.
    let sockets = relay.descriptors("socket:");
    let took = all_are_given_up(&relay, 50);
    // Pauses of 50 and 100 ms, and what is left of the 300 ms.
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert_eq!(relay.descriptors("socket:"), sockets);
    let _echo = Server::start(&format!("{target} echo"));
    assert_eq!(ask(&relay), "hello");
    relay.lets_go_of_all_but(sockets);
    let log = relay.end();
    let sentence = format!("cannot connect to {target}: connection refused (ECONNREFUSED)");
    assert_eq!(log.matches(&sentence).count(), 51, "{log}");
}

/// A listener whose backlog is full answers nobody: the kernel drops what comes.
#[test]
fn a_target_that_says_nothing_is_given_up_by_the_clock() {
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    full.bind(&any.into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let _first = TcpStream::connect(address).unwrap();
    let limits = "--connect-timeout 400ms --retry 0s";
    let relay = Server::relay(&format!("tcp://127.0.0.1:0 tcp://{address} {limits}"));
    all_are_given_up(&relay, 1);
    let sockets = relay.descriptors("socket:");
    let took = all_are_given_up(&relay, 50);
    assert!(took >= Duration::from_millis(400), "{took:?}");
    assert_eq!(relay.descriptors("socket:"), sockets);
    // There is room again, and somebody who answers.
    let listener = TcpListener::from(full);
    let echo = std::thread::spawn(move || {
        _ = listener.accept().unwrap();
        let (mut client, _) = listener.accept().unwrap();
        std::io::copy(&mut client.try_clone().unwrap(), &mut client).unwrap();
    });
    assert_eq!(ask(&relay), "hello");
    echo.join().unwrap();
    relay.lets_go_of_all_but(sockets);
    let log = relay.end();
    assert_eq!(log.matches("timed out").count(), 51, "{log}");
}

/// A command line with names of its own, which are in a file alone.
fn with_hosts(folder: &Folder, words: &str) -> Command {
    let switch = folder.text("nsswitch.conf");
    fs::write(&switch, "hosts: files\n").unwrap();
    let hosts = folder.text("hosts");
    let script = format!(
        "mount --bind {switch} /etc/nsswitch.conf && mount --bind {hosts} /etc/hosts && \
         exec {BINARY} {words}"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    command
}

#[test]
fn a_name_that_is_lost_keeps_its_addresses_and_one_that_comes_late_is_found() {
    if !is_root() {
        eprintln!("skipped: a hosts file of one's own takes root's mounts");
        return;
    }
    let folder = Folder::new();
    let hosts = |line: &str| fs::write(folder.path("hosts"), line).unwrap();
    let echo = Server::start("tcp://127.0.0.2:0 echo");
    let words = format!(
        "relay tcp://127.0.0.1:0 tcp://moving.test:{} --refresh 100ms --retry 200ms",
        echo.port()
    );
    hosts("127.0.0.2 moving.test\n");
    let mut relay = Server::start_command(with_hosts(&folder, &words), 1);
    assert_eq!(ask(&relay), "hello");
    hosts("");
    // Nobody has to ask for it.
    relay.wait_for_log("warning: cannot resolve");
    assert_eq!(ask(&relay), "hello");
    relay.end();

    let started = Instant::now();
    let mut relay = Server::start_command(with_hosts(&folder, &words), 1);
    relay.wait_for_log("warning: cannot resolve");
    all_are_given_up(&relay, 1);
    let sockets = relay.descriptors("socket:");
    all_are_given_up(&relay, 20);
    assert_eq!(relay.descriptors("socket:"), sockets);
    relay.wait_for_log("target not reached: cannot resolve");
    hosts("127.0.0.2 moving.test\n");
    let begun = Instant::now();
    while ask(&relay) != "hello" {
        assert!(begun.elapsed() < LIMIT);
    }
    relay.lets_go_of_all_but(sockets);
    // Those who ask can't have it looked up as often as they like.
    let log = relay.end();
    let looked = log
        .lines()
        .filter(|line| line.contains("warning: cannot resolve"));
    let most = started.elapsed().as_millis() as usize / 250 + 2;
    assert!(looked.count() <= most, "{log}");
}

#[test]
fn who_finds_no_descriptor_for_his_target_waits_for_one() {
    let echo = Server::start("tcp://127.0.0.1:0 echo --quiet");
    for threads in ["1", "2"] {
        let words = format!("{} --threads {threads} --retry 30s", echo.url());
        let relay = relay_after("ulimit -n 60", &words);
        assert_eq!(ask(&relay), "hello");
        let mut queue = queue(&relay, 300, "hello");
        // They hold all that there is, and nothing is done about it.
        shell("sleep 0.3", &[]);
        relay.rests();
        assert_eq!(fates(&mut queue, "20\n"), ALL_ANSWERED, "{threads} threads");
        queue.finish();
        assert_eq!(ask(&relay), "hello");
        let log = relay.end();
        assert!(!log.contains("not reached"), "{threads} threads: {log}");
    }
}

/// Whoever comes before all loops are there.
#[test]
fn a_crowd_at_the_start_takes_no_descriptor_from_a_loop() {
    let echo = Server::start("tcp://127.0.0.1:0 echo --quiet");
    let words = format!("{} --threads 16 --retry 30s", echo.url());
    for _ in 0..3 {
        let relay = relay_after("ulimit -n 60", &words);
        drop((0..60).map(|_| connect(&relay)).collect::<Vec<_>>());
        assert_eq!(ask(&relay), "hello");
    }
}

/// From now on it may open so many more. What a limit counts are numbers, not what is open.
fn leave(relay: &Server, count: usize) {
    let open =
        |number: &usize| Path::new(&format!("/proc/{}/fd/{number}", relay.id())).is_symlink();
    let last = (0..).filter(|number| !open(number)).nth(count - 1).unwrap();
    let command = format!("prlimit --pid {} --nofile={}", relay.id(), last + 1);
    assert_eq!(shell(&command, &[]).code, Some(0));
}

#[test]
fn who_waits_too_long_for_a_descriptor_is_given_up() {
    let echo = Server::start("tcp://127.0.0.1:0 echo --quiet");
    let words = format!("tcp://127.0.0.1:0 {} --threads 1 --retry 200ms", echo.url());
    let mut relay = Server::relay(&words);
    let mut held = connect(&relay);
    held.write_all(b"hello").unwrap();
    held.read_exact(&mut [0; 5]).unwrap();
    // A client takes two: of an odd number, one is left with none for its target, however slowly
    // they come.
    leave(&relay, 31);
    let clients: Vec<_> = (0..40).map(|_| connect(&relay)).collect();
    let line = relay.wait_for_log("target not reached");
    assert!(line.contains("(EMFILE)"), "{line}");
    drop((clients, held));
    let begun = Instant::now();
    while ask(&relay) != "hello" {
        assert!(begun.elapsed() < LIMIT);
    }
    relay.end();
}

/// A network of its own, with so few ports for connections that are made.
const FEW_PORTS: &str =
    "ip link set lo up && echo 40000 40005 > /proc/sys/net/ipv4/ip_local_port_range";
const PORTS: usize = 6;

#[test]
fn who_finds_no_port_waits_for_one() {
    let tried = shell(&format!("unshare --net sh -c '{FEW_PORTS}'"), &[]);
    if tried.code != Some(0) {
        eprintln!("skipped: a network of one's own takes root and a /proc/sys to be written to");
        return;
    }
    let folder = Folder::new();
    let mut command = Command::new("unshare");
    let script = format!("{FEW_PORTS} && exec {BINARY} serve tcp://127.0.0.1:7 echo");
    command.args(["--net", "sh", "-c", &script]);
    let echo = Server::start_command(command, 1);
    let network = format!("--net=/proc/{}/ns/net", echo.id());
    let listen = format!("unix://{}", folder.text("in"));
    let relay = |retry: &str| {
        let mut command = Command::new("nsenter");
        command.args([
            &network,
            BINARY,
            "relay",
            &listen,
            echo.url(),
            "--retry",
            retry,
        ]);
        Server::start_command(command, 1)
    };
    let hold = |relay: &Server| {
        let mut client = Script::start("$BIN connect $URL", &[("URL", relay.url())]);
        client.write("held\n");
        client
    };
    // A port that was just in use can be had again after a second: tcp_tw_reuse of tcp(7).
    let mut impatient = relay("3s");
    assert_eq!(ask(&impatient), "hello");
    let sockets = impatient.descriptors("socket:");
    let mut holding: Vec<_> = (0..PORTS).map(|_| hold(&impatient)).collect();
    holding
        .iter_mut()
        .for_each(|client| assert_eq!(client.line(), "held"));
    assert_eq!(ask(&impatient), "");
    let line = impatient.wait_for_log("target not reached");
    assert!(line.contains("(EADDRNOTAVAIL)"), "{line}");
    drop(holding);
    impatient.lets_go_of_all_but(sockets);
    impatient.end();

    let patient = relay("30s");
    let mut holding: Vec<_> = (0..PORTS).map(|_| hold(&patient)).collect();
    holding
        .iter_mut()
        .for_each(|client| assert_eq!(client.line(), "held"));
    let mut late = hold(&patient);
    assert_eq!(holding.remove(0).finish().0, Some(0));
    assert_eq!(late.line(), "held");
    assert_eq!(late.finish().0, Some(0));
    let log = patient.end();
    assert!(!log.contains("not reached"), "{log}");
}

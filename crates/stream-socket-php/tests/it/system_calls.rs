//! How many system calls an operation is, which is a figure of the design; counted by strace.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use super::{LIBRARY, PHP, PHP_SETTINGS, bounded, root, settings};

/// As many clients as PHP's own backlog holds.
const FEW: usize = 10;
const MANY: usize = 30;

/// The calls on descriptors that a server makes which serves so often.
fn calls(is_ours: bool, what: &str, count: usize) -> usize {
    let log =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{what}.{is_ours}.{count}"));
    let mut command = Command::new("strace");
    command
        .args(["-e", "trace=%desc,%network", "-o"])
        .arg(&log)
        .arg(&*PHP);
    if is_ours {
        command.env(PHP_SETTINGS, settings(&LIBRARY, "settings"));
    }
    let mut server = command
        .arg(root().join("tests/php/calls.php"))
        .args([what, &count.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    let mut said = BufReader::new(server.stdout.take().unwrap());
    said.read_line(&mut address).unwrap();
    let connect = || TcpStream::connect(address.trim()).unwrap();
    let clients = if what == "accept" { count } else { 1 };
    let clients: Vec<TcpStream> = (0..clients).map(|_| connect()).collect();
    server.stdin.take().unwrap().write_all(b"begin\n").unwrap();
    for mut client in clients {
        let mut answer = Vec::new();
        if what == "accept" {
            client.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, b"a line\n");
            continue;
        }
        for _ in 0..count {
            answer.resize(5, 0);
            client.write_all(b"line\n").unwrap();
            client.read_exact(&mut answer).unwrap();
        }
    }
    assert!(server.wait().unwrap().success());
    fs::read_to_string(&log).unwrap().lines().count()
}

#[test]
fn an_operation_is_one_system_call_less_than_on_stock_php() {
    for (what, ours, stock) in [("accept", 3, 4), ("lines", 2, 3)] {
        for (is_ours, each) in [(true, ours), (false, stock)] {
            // A loaded machine can only add some, where a reader comes before what it reads.
            let (mut few, mut many) = (usize::MAX, usize::MAX);
            let is_so = (0..10).any(|_| {
                few = few.min(calls(is_ours, what, FEW));
                many = many.min(calls(is_ours, what, MANY));
                many - few == each * (MANY - FEW)
            });
            assert!(
                is_so,
                "{what}, with the extension: {is_ours}: {few}, {many}"
            );
        }
    }
}

#[test]
fn who_closes_a_stream_rests_until_others_have_left_it() {
    let log = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("closing");
    let mut command = Command::new("strace");
    command
        .args(["-e", "trace=epoll_wait,epoll_pwait,epoll_pwait2", "-o"])
        .arg(&log)
        .arg(&*PHP)
        .arg(root().join("tests/php/closing.php"))
        .env(PHP_SETTINGS, settings(&LIBRARY, "settings"));
    assert_eq!(bounded(command).stdout, b"true");
    let turns = fs::read_to_string(&log).unwrap().lines().count();
    assert!((1..100).contains(&turns), "{turns} turns of the loop");
}

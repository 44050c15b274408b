//! HUP: workers are replaced, and clients don't notice.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{TELL, activate, answering};
use crate::programs::{exists, process};
use crate::support::{BINARY, Folder, LIMIT, Server};

/// Connects again and again until it is told to stop, each time for a whole answer; how often.
fn load(url: &str, stop: &AtomicBool) -> usize {
    let address = url.strip_prefix("tcp://").unwrap();
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "served\n");
        count += 1;
    }
    count
}

/// The process that is the next to be started.
fn started(server: &mut Server) -> u32 {
    let line = server.wait_for_log("started");
    process(&format!("{line} "))
}

#[test]
fn no_connection_is_refused_or_lost_while_workers_are_replaced() {
    let service = [
        "serve",
        "systemd://*",
        "daytime",
        "--daytime-format",
        "served",
        "--quiet",
    ];
    let program = [&[BINARY][..], &service].concat();
    let mut server = activate("tcp://127.0.0.1:0 --workers 2 --settle 100ms", &program);
    let (url, stop) = (server.url().to_owned(), AtomicBool::new(false));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..2).map(|_| scope.spawn(|| load(&url, &stop))).collect();
        for _ in 0..4 {
            server.signal("HUP");
            server.wait_for_log("replaced");
            for _ in 0..2 {
                server.wait_for_log("ended");
            }
        }
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().unwrap() > 0);
        }
    });
    server.end();
}

#[test]
fn a_second_hang_up_begins_anew_and_the_end_is_for_all() {
    let mut server = activate("tcp://127.0.0.1:0 --settle 30s", &TELL);
    let first = started(&mut server);
    server.signal("HUP");
    let second = started(&mut server);
    server.signal("HUP");
    let third = started(&mut server);
    // Whom the newest one is to take the place of goes on.
    assert_eq!(process(&server.wait_for_log("ended")), second);
    assert!(exists(first) && exists(third));
    let log = server.end();
    assert!(log.contains("workers=2"), "{log}");
    assert!(!log.contains("replaced"), "{log}");
    assert!(!exists(first) && !exists(third));
}

#[test]
fn the_old_workers_stay_when_new_ones_can_not() {
    let folder = Folder::new();
    let (worker, bad) = (folder.path("worker"), folder.path("bad"));
    let script = format!(
        "#!/bin/sh\n[ ! -e {} ] || exit 4\nexec \"$@\"\n",
        bad.display()
    );
    fs::write(&worker, &script).unwrap();
    let chmod = |mode: &str| {
        let script = format!("chmod {mode} {}", worker.display());
        crate::support::shell(&script, &[]).prints("");
    };
    chmod("755");
    let program = [&[worker.to_str().unwrap()][..], &TELL].concat();
    let mut server = activate("tcp://127.0.0.1:0 --settle 2s", &program);
    let first = started(&mut server);
    assert_eq!(answering(server.url()), first);

    // One that ends at once.
    fs::write(&bad, "").unwrap();
    server.signal("HUP");
    let failed = started(&mut server);
    let line = server.wait_for_log("kept the old workers, since a new one has ended");
    assert!(line.contains("exit status: 4"), "{line}");
    assert_ne!(failed, first);
    assert_eq!(answering(server.url()), first);
    fs::remove_file(&bad).unwrap();

    // One that can't be started.
    let away = folder.path("away");
    fs::rename(&worker, &away).unwrap();
    server.signal("HUP");
    let line = server.wait_for_log("kept the old workers: cannot start");
    assert!(line.contains("No such file or directory"), "{line}");
    assert_eq!(answering(server.url()), first);
    fs::rename(&away, &worker).unwrap();

    // And now all is well.
    server.signal("HUP");
    let second = started(&mut server);
    server.wait_for_log("replaced workers=1");
    assert_eq!(process(&server.wait_for_log("ended")), first);
    assert_eq!(answering(server.url()), second);
    server.end();
}

//! What can't be done, said in one sentence, with its exit code.

use std::os::unix::fs::PermissionsExt;

use crate::support::{BINARY, Folder, Server, is_root, shell};

/// What is typed, and a part of the answer.
const NONSENSE: &[(&str, &str)] = &[
    ("", "Usage: stream-socket"),
    (
        "sevre tcp://h:1 echo",
        "a similar subcommand exists: 'serve'",
    ),
    ("serve", "required arguments were not provided"),
    (
        "serve tcp://127.0.0.1:0",
        "the last word is no service: \"tcp://127.0.0.1:0\"; it is one of daytime, time",
    ),
    ("serve daytime", "no URL is given to listen on"),
    (
        "connect tcp://h:1?via=http://me:secret@p:1&linger=1500ms",
        "tcp://h:1 shows a proxy's name and password: give them by --via @FILE",
    ),
    (
        "relay tcp://127.0.0.1:0 tcp://h:1?via=http://me:secret@p:1",
        "tcp://h:1 shows a proxy's name and password: give them by --via @FILE",
    ),
    (
        "connect tcp://h:1 --via @/dev/null",
        "--via @/dev/null: its first line is empty",
    ),
    ("connect tcp://h:1 --via @", "--via @: no file is named"),
    (
        "connect tcp://h:1 --via @/dev/zero",
        "/dev/zero is longer than 65536 bytes",
    ),
    (
        "relay tcp://127.0.0.1:0 tcp://h:1 --limits /dev/zero",
        "/dev/zero is longer than 65536 bytes",
    ),
    (
        "relay udp://127.0.0.1:0 udp://127.0.0.1:9 --limits x",
        "--limits is for connections, and udp://127.0.0.1:0 has peers: --max-peers and",
    ),
    (
        "serve tcp://127.0.0.1:0 echo --threads 0",
        "0 is not in 1..=1024",
    ),
    (
        "serve udp://127.0.0.1:0 --max-peers 3 echo",
        "option max_peers is for a Listener",
    ),
    (
        "serve udg://@x?peer_idle_timeout=1s daytime",
        "option peer_idle_timeout is for a Listener",
    ),
    (
        "serve tcp://127.0.0.1:0 --idle-timeout 1s -- cat",
        "idle_timeout can't be told of a program's connection",
    ),
    (
        "serve tcp://127.0.0.1:0?read_timeout=1s -- cat",
        "read_timeout can't be told of a program's connection",
    ),
    (
        "serve tcp://127.0.0.1:0 daytim",
        "the last word is no service: \"daytim\"; it is one of daytime",
    ),
    (
        "serve tcp://127.0.0.1:70000 echo",
        "port 70000 is not in 0–65535",
    ),
    (
        "serve tcp://127.0.0.1 echo",
        "the port is missing; write 127.0.0.1:PORT",
    ),
    (
        "serve tcq://127.0.0.1:0 echo",
        "unknown transport tcq; did you mean \"tcp\"?",
    ),
    (
        "serve tcp://127.0.0.1:0?backlgo=1 echo",
        "did you mean \"backlog\"?",
    ),
    (
        "serve udp://127.0.0.1:0?backlog=1 echo",
        "backlog applies to tcp, unix, vsock, not to udp",
    ),
    (
        "serve tcp://127.0.0.1:0?linger=5 echo",
        "takes a span with its unit",
    ),
    (
        "serve tcp://127.0.0.1:0 echo --backlgo 1",
        "a similar argument exists: '--backlog'",
    ),
    (
        "serve tcp://127.0.0.1:0 echo --backlog x",
        "option backlog is \"x\", but takes a whole",
    ),
    (
        "serve tcp://127.0.0.1:0 echo --nodelay=2",
        "option nodelay is \"2\", but takes 1, 0",
    ),
    (
        "serve tcp://127.0.0.1:0 echo --mode 0600",
        "--mode applies to unix, udg, and no URL",
    ),
    (
        "serve udg://@x udp://127.0.0.1:0 echo --nodelay",
        "--nodelay applies to tcp, and no URL",
    ),
    (
        "serve udp://127.0.0.1:0 echo --read-timeout 1s",
        "--read-timeout applies to tcp, unix, vsock",
    ),
    (
        "serve udp://127.0.0.1:0?read_timeout=1s echo",
        "read_timeout is a limit for one connect",
    ),
    (
        "serve unix://@x?mode=0600 echo",
        "mode applies to paths, not to abstract names",
    ),
    (
        "serve tcp://127.0.0.1:0 echo --backlog 1 --backlog 2",
        "cannot be used multiple times",
    ),
    (
        "serve tcp://127.0.0.1:0 echo --drain 5",
        "it is not a span with its unit",
    ),
    (
        "serve tcp://127.0.0.1:0 echo --connect-timeout 1s",
        "unexpected argument",
    ),
    (
        "serve tcp://127.0.0.1:0 daytime --daytime-format %&",
        "--daytime-format is \"%&\"",
    ),
    (
        "serve tcp://127.0.0.1:0 echo --daytime-format %F",
        "applies to daytime, not to echo",
    ),
    (
        "serve tcp://127.0.0.1:0 echo --log xml",
        "[possible values: text, json]",
    ),
    ("connect", "required arguments were not provided"),
    ("connect tcp://127.0.0.1:x y", "unexpected argument 'y'"),
    ("connect tcp://[::1", "the bracket [ is never closed"),
    ("connect unix://@", "a name to bind, not one to connect to"),
    (
        "connect unix:///x --nodelay",
        "--nodelay applies to tcp, and no URL given is such",
    ),
    (
        "connect tcp://127.0.0.1:1 --wait soon",
        "it is not a span with its unit",
    ),
    (
        "connect tcp://127.0.0.1:1 --bind here",
        "option bind is \"here\", but takes an IP",
    ),
    (
        "activate tcp://127.0.0.1:0",
        "required arguments were not provided",
    ),
    ("activate -- cat", "required arguments were not provided"),
    (
        "activate tls+unix:///x?certificate=a -- cat",
        "cannot activate tls+unix:///x: TLS is begun by who accepts, the worker; pass unix:///x",
    ),
    (
        "activate tcp://127.0.0.1:0?max_connections=1 -- cat",
        "max_connections is kept by who accepts, the worker",
    ),
    (
        "activate tcp://127.0.0.1:0 --idle-timeout 1s -- cat",
        "unexpected argument '--idle-timeout'",
    ),
    (
        "activate unix://@x --send-buffer 64KiB -- cat",
        "cannot activate unix://@x: send_buffer does not reach its connections",
    ),
    (
        "activate udp://127.0.0.1:0 --nodelay -- cat",
        "--nodelay applies to tcp, and no URL given is such",
    ),
    (
        "activate tcp://127.0.0.1:0 --fdname a:b -- cat",
        "--fdname has 2 names, and there is 1 URL",
    ),
    (
        "activate tcp://127.0.0.1:0 unix://@x --fdname web: -- cat",
        "--fdname: \"\" is no name of a socket",
    ),
    (
        "activate tcp://127.0.0.1:0 --workers core -- cat",
        "it is neither cores nor a number in 1..=1024",
    ),
    ("completions csh", "[possible values: bash"),
    ("transports x", "unexpected argument 'x'"),
];

#[test]
fn what_makes_no_sense_is_refused_with_2() {
    for (words, expected) in NONSENSE {
        let outcome = shell(&format!("$BIN {}", quoted(words)), &[]);
        assert_eq!((outcome.code, outcome.text()), (Some(2), ""), "{outcome:?}");
        assert!(outcome.err.contains(expected), "{expected:?}: {outcome:?}");
    }
}

fn quoted(words: &str) -> String {
    let words: Vec<_> = words.split(' ').map(|word| format!("'{word}'")).collect();
    words.join(" ").replace("''", "")
}

#[test]
fn what_the_system_refuses_is_1_and_a_sentence() {
    let folder = Folder::new();
    let path = folder.text("file");
    std::fs::write(&path, "").unwrap();
    for (words, expected) in [
        ("serve tcp://192.0.2.99:0 echo", "(EADDRNOTAVAIL)"),
        (
            "serve tls://127.0.0.1:0 --certificate /dev/zero --key /dev/zero echo",
            "option certificate: /dev/zero: file too large (EFBIG)",
        ),
        (
            "serve unix:///no/such/folder/x echo",
            "cannot bind unix:///no/such/folder/x: no such",
        ),
        (
            "serve unix://$FILE echo",
            "address already in use (EADDRINUSE)",
        ),
        (
            "connect tcp://127.0.0.1:1",
            "cannot connect to tcp://127.0.0.1:1: connection refused",
        ),
        (
            "connect unix:///no/such/x",
            "no such file or directory (ENOENT)",
        ),
        (
            "connect unix://@no-such-name-at-all",
            "connection refused (ECONNREFUSED)",
        ),
        (
            "connect tcp://no-such-name.invalid:1",
            "cannot resolve tcp://no-such-name.invalid:1",
        ),
    ] {
        let outcome = shell(&format!("$BIN {words} </dev/null"), &[("FILE", &path)]);
        assert_eq!((outcome.code, outcome.text()), (Some(1), ""), "{outcome:?}");
        assert!(
            outcome.err.starts_with("stream-socket: cannot "),
            "{outcome:?}"
        );
        assert!(outcome.err.contains(expected), "{expected:?}: {outcome:?}");
        assert_eq!(outcome.err.lines().count(), 1, "{outcome:?}");
    }
}

#[test]
fn an_address_in_use_is_named() {
    let folder = Folder::new();
    let path = folder.text("echo");
    let first = Server::start(&format!(
        "tcp://127.0.0.1:0 udp://127.0.0.1:0 unix://{path} echo"
    ));
    for url in first.urls() {
        let outcome = shell("$BIN serve $URL echo", &[("URL", url)]);
        let expected =
            format!("stream-socket: cannot bind {url}: address already in use (EADDRINUSE)");
        assert_eq!(
            (outcome.code, outcome.err.as_str()),
            (Some(1), expected.as_str())
        );
    }
    // One that can't be bound binds none, and leaves no file.
    let other = format!("unix://{path}.other");
    let variables = [("URL", first.url()), ("OTHER", &other)];
    assert_eq!(
        shell("$BIN serve $OTHER $URL echo", &variables).code,
        Some(1)
    );
    assert!(!folder.path("echo.other").exists());
}

#[test]
fn a_low_port_is_refused_to_an_ordinary_user() {
    // The binary's own folder may be closed to others.
    let folder = Folder::new();
    let copy = folder.path("stream-socket");
    std::fs::copy(BINARY, &copy).unwrap();
    for path in [folder.root(), &copy] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let become_nobody = if is_root() {
        "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all"
    } else {
        ""
    };
    let copy = copy.to_str().unwrap();
    for url in [
        "tcp://127.0.0.1:80",
        "udp://127.0.0.1:13",
        "tcp://[::1]:1023",
    ] {
        let script = format!("{become_nobody} $COPY serve {url} daytime");
        let outcome = shell(&script, &[("COPY", copy)]);
        let expected = format!("stream-socket: cannot bind {url}: permission denied (EACCES)");
        assert_eq!(
            (outcome.code, outcome.err.as_str()),
            (Some(1), expected.as_str())
        );
    }
}

#[test]
fn a_flag_goes_to_the_urls_that_it_applies_to() {
    let folder = Folder::new();
    let path = folder.text("echo");
    let server = Server::start(&format!(
        "tcp://127.0.0.1:0 udp://127.0.0.1:0 unix://{path} unix://{path}.open?mode=0666 echo \
         --nodelay --mode 0600 --backlog 7 --receive-buffer 32KiB"
    ));
    let modes = shell("stat -c %a $NAMED $NAMED.open", &[("NAMED", &path)]);
    modes.prints("600\n666\n");
    let backlog = "ss -Hltn sport = :$PORT | awk '{print $3}'";
    shell(backlog, &[("PORT", server.port())]).prints("7\n");
    server.end();
}

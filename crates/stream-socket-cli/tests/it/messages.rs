//! What is told to whom: the log, the service manager, help, completions, manual pages.

use std::process::Command;

use serde_json::Value;

use crate::support::{BINARY, Folder, Script, Server, abstract_name, shell};

#[test]
fn the_log_tells_the_life_of_a_connection() {
    let mut server = Server::start("tcp://127.0.0.1:0 echo");
    let url = server.url().to_owned();
    let line = server.wait_for_log("listening");
    assert!(
        line.ends_with(&format!("listening url={url} service=\"echo\"")),
        "{line}"
    );
    shell("echo hello | $BIN connect $URL", &[("URL", &url)]).prints("hello\n");
    let accepted = server.wait_for_log("accepted");
    assert!(accepted.ends_with(&format!(" url={url}")), "{accepted}");
    let closed = server.wait_for_log("closed");
    assert!(
        closed.contains("received=6 sent=6 milliseconds="),
        "{closed}"
    );
    assert!(closed.ends_with("reason=done"), "{closed}");
    server.end();
}

#[test]
fn in_json_every_line_is_an_object() {
    let server = Server::start("tcp://127.0.0.1:0 udp://127.0.0.1:0 echo --log json");
    for url in server.urls() {
        shell("echo hello | $BIN connect $URL", &[("URL", url)]).prints("hello\n");
    }
    let url = server.url().to_owned();
    let relay = Server::relay(&format!("tcp://127.0.0.1:0 {url} --log json"));
    shell("echo hello | $BIN connect $URL", &[("URL", relay.url())]).prints("hello\n");
    let log = [relay.end(), server.end()].join("\n");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let find = |message: &str| {
        lines
            .iter()
            .find(|line| line["message"] == message)
            .unwrap()
    };
    assert_eq!(find("listening")["url"], url);
    assert_eq!(find("listening")["level"], "INFO");
    assert!(
        find("accepted")["peer"]
            .as_str()
            .unwrap()
            .starts_with("tcp://127.0.0.1:")
    );
    assert_eq!(find("closed")["received"], 6);
    assert_eq!(find("closed")["reason"], "done");
    let through = find("closed by client");
    assert_eq!((&through["up"], &through["down"]), (&6.into(), &6.into()));
    for line in [find("closed"), through] {
        assert!(line["milliseconds"].is_u64(), "{line}");
    }
    assert!(lines.iter().any(|line| line["answered"] == 1), "{log}");
    assert!(lines.iter().all(|line| line["timestamp"].is_string()));
}

#[test]
fn in_json_the_last_error_has_stage_and_errno() {
    for (words, code, stage, errno) in [
        ("serve tcp://192.0.2.99:0 echo", 1, "bind", Some(99)),
        ("serve tcp://127.0.0.1:70000 echo", 2, "parse", None),
        ("serve unix:///x echo --nodelay", 2, "parse", None),
        ("connect tcp://127.0.0.1:1", 1, "connect", Some(111)),
        ("connect tcp://no-such-name.invalid:1", 1, "resolve", None),
    ] {
        for quiet in ["", "--quiet"] {
            let script = format!("$BIN {words} --log json {quiet} </dev/null");
            let outcome = shell(&script, &[]);
            assert_eq!(outcome.code, Some(code), "{outcome:?}");
            let error: Value = serde_json::from_str(&outcome.err).expect(&outcome.err);
            assert_eq!(error["level"], "ERROR");
            assert_eq!(error["stage"], stage, "{outcome:?}");
            assert_eq!(error["errno"].as_i64(), errno, "{outcome:?}");
            let plain = shell(&format!("$BIN {words} </dev/null"), &[]);
            let message = error["message"].as_str().unwrap();
            assert_eq!(plain.err, format!("stream-socket: {message}"));
        }
    }
}

#[test]
fn quiet_leaves_errors_alone() {
    let server = Server::start("tcp://127.0.0.1:0 echo --quiet");
    shell(
        "echo hello | $BIN connect $URL -q",
        &[("URL", server.url())],
    )
    .prints("hello\n");
    assert_eq!(server.end(), "");
}

#[test]
fn the_service_manager_is_told() {
    let folder = Folder::new();
    let (path, name) = (folder.text("notify"), abstract_name("notify"));
    for (bind, socket) in [
        (path.as_str(), path.clone()),
        ("\\0$ABSTRACT", format!("@{name}")),
    ] {
        let manager = format!(
            "python3 -c \"
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('{bind}')
print('bound', flush=True)
for _ in range(2): print(s.recv(100).decode(), flush=True)\""
        );
        let mut manager = Script::start(&manager, &[("ABSTRACT", &name)]);
        assert_eq!(manager.line(), "bound");
        let mut command = Command::new(BINARY);
        command.args(["serve", "tcp://127.0.0.1:0", "daytime"]);
        command.env("NOTIFY_SOCKET", socket);
        let server = Server::start_command(command, 1);
        assert_eq!(manager.line(), "READY=1");
        server.end();
        assert_eq!(manager.finish(), (Some(0), "STOPPING=1\n".to_owned()));
    }
}

#[test]
fn a_service_manager_that_is_not_there_is_no_reason_to_end() {
    let mut command = Command::new(BINARY);
    command.args(["serve", "tcp://127.0.0.1:0", "daytime"]);
    command.env("NOTIFY_SOCKET", "/no/such/socket");
    let mut server = Server::start_command(command, 1);
    let line = server.wait_for_log("service manager");
    assert!(
        line.contains("cannot connect to udg:///no/such/socket"),
        "{line}"
    );
    server.end();
}

#[test]
fn a_server_whose_output_nobody_reads_goes_on() {
    let folder = Folder::new();
    let path = folder.text("echo");
    let script = "$BIN serve unix://$NAMED echo > >(true) 2>&1 & server=$!
        for i in $(seq 100); do [ -S $NAMED ] && break; sleep 0.02; done; sleep 0.2
        for i in 1 2 3; do echo hello | $BIN connect unix://$NAMED; done
        kill $server; wait $server";
    shell(script, &[("NAMED", &path)]).prints("hello\nhello\nhello\n");
}

#[test]
fn transports_are_listed_one_a_line() {
    shell("$BIN transports", &[]).prints(
        "tcp\nudp\nunix\nudg\nmptcp\nvsock\nfd\nsystemd\n\
             tls\nssl\ntlsv1.2\ntlsv1.3\ntls+unix\ntls+vsock\ntls+fd\ntls+systemd\n",
    );
    let closed = shell("$BIN transports | true; echo ${PIPESTATUS[0]}", &[]);
    closed.prints("0\n");
}

#[test]
fn help_and_version_are_data() {
    let version = format!("stream-socket {}\n", env!("CARGO_PKG_VERSION"));
    shell("$BIN --version", &[]).prints(&version);
    for (words, expected) in [
        ("--help", "Exit codes: 0 done"),
        ("-h", "completions"),
        ("serve --help", "--keepalive-idle <SPAN>"),
        (
            "serve --help",
            "Time between probes [tcp] [default: the system's]",
        ),
        (
            "serve --help",
            "Limit for one read [tcp, unix, vsock] [default: never]",
        ),
        (
            "serve -h",
            "daytime  The local time as a line of text (RFC 867)",
        ),
        (
            "connect --help",
            "Limit for one read [tcp, udp, unix, udg, vsock] [default: never]",
        ),
        ("connect --help", "Examples:"),
        ("man --help", "man -l -"),
    ] {
        let outcome = shell(&format!("$BIN {words}"), &[]);
        assert_eq!(
            (outcome.code, outcome.err.as_str()),
            (Some(0), ""),
            "{outcome:?}"
        );
        assert!(outcome.text().contains(expected), "{expected}: {outcome:?}");
    }
}

#[test]
fn every_option_key_is_a_flag_and_in_the_manual() {
    let folder = Folder::new();
    let pages = folder.root().to_str().unwrap();
    shell("$BIN man $PAGES", &[("PAGES", pages)]).prints("");
    let page = |name: &str| std::fs::read_to_string(folder.path(name)).unwrap();
    let (serve, connect) = (
        page("stream-socket-serve.1"),
        page("stream-socket-connect.1"),
    );
    for key in stream_socket::keys() {
        // As the page writes it, so that no longer flag is taken for it.
        let flag = format!("\\-\\-{}\\fR", key.name.replace('_', "\\-"));
        for (page, role) in [
            (&serve, stream_socket::Role::Listen),
            (&connect, stream_socket::Role::Connect),
        ] {
            assert_eq!(page.contains(&flag), key.has_role(role), "{flag}");
        }
    }
    for name in [
        "stream-socket.1",
        "stream-socket-transports.1",
        "stream-socket-man.1",
    ] {
        assert!(page(name).contains(".TH"), "{name}");
    }
    let main = shell("$BIN man", &[]);
    assert_eq!(main.text(), page("stream-socket.1"));
    let refused = shell("$BIN man /no/such/folder", &[]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("/no/such/folder"), "{refused:?}");
}

#[test]
fn completions_for_every_shell() {
    for shell_name in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let outcome = shell("$BIN completions $NAME", &[("NAME", shell_name)]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(outcome.text().contains("keepalive-idle"), "{shell_name}");
    }
    let script = "source <($BIN completions bash); COMP_WORDS=(stream-socket serve --dr)
        COMP_CWORD=2; _stream__socket stream-socket --dr serve; echo ${COMPREPLY[@]}";
    shell(script, &[]).prints("--drain\n");
}

/// `$LOG` is a pipe that is full and that nobody reads, and `$FORMAT` the log's.
const UNREAD: &str = r#"
    mkfifo $LOG; exec 9<>$LOG; timeout 0.3 cat /dev/zero >&9
    $BIN serve tcp://127.0.0.1:0 echo --threads 2 --drain never --log $FORMAT >$LOG.url 2>&9 9>&- &
    until [ -s $LOG.url ]; do sleep 0.02; done
    ask() { echo hello | $BIN connect $(cat $LOG.url) --timeout 5s; }
    for i in {1..20}; do ask; done | sort | uniq -c | tr -d ' '
"#;

#[test]
fn a_log_that_nobody_reads_stops_nobody() {
    for format in ["text", "json"] {
        let folder = Folder::new();
        let variables = [("LOG", folder.text("log")), ("FORMAT", format.to_owned())];
        let variables = [0, 1].map(|index| (variables[index].0, variables[index].1.as_str()));
        let once = format!("{UNREAD} kill -TERM $!; wait $!; echo $?");
        shell(&once, &variables).prints("20hello\n0\n");
        // With a connection that goes on, and a second signal.
        let twice = "exec 8<>/dev/tcp/127.0.0.1/$(grep -o '[0-9]*$' $LOG.url)
            sleep 0.2; kill -TERM $!; sleep 0.3; kill -TERM $!; wait $!; echo $?";
        let folder = Folder::new();
        let log = folder.text("log");
        let variables = [("LOG", log.as_str()), variables[1]];
        shell(&format!("{UNREAD} {twice}"), &variables).prints("20hello\n143\n");
    }
}

#[test]
fn how_many_lines_nobody_read_is_told_who_reads_again() {
    for format in ["text", "json"] {
        let folder = Folder::new();
        let log = folder.text("log");
        let again = r#"
            { timeout 0.3 cat <&9 >/dev/null; ask; kill -TERM $!; wait $!; } >/dev/null
            timeout 0.3 cat <&9; true"#;
        let variables = [("LOG", log.as_str()), ("FORMAT", format)];
        let outcome = shell(&format!("{UNREAD} {again}"), &variables);
        let lines: Vec<_> = outcome.text().lines().skip(1).collect();
        // That it listens, and two lines for each connection.
        let (count, message) = (41, "lines of the log were dropped, since nobody read them");
        if format == "json" {
            let notice: Value = serde_json::from_str(lines[0]).expect(lines[0]);
            assert_eq!(
                (&notice["count"], &notice["message"]),
                (&count.into(), &message.into())
            );
            assert_eq!(notice["level"], "WARN");
            assert!(notice["timestamp"].is_string());
        } else {
            let notice = format!(" warning: {message} count={count}");
            assert!(lines[0].ends_with(&notice), "{outcome:?}");
        }
        assert!(
            lines[1].contains("accepted") && lines.len() >= 4,
            "{outcome:?}"
        );
    }
}

//! Sockets that were opened by who started the command: systemd-socket-activate, or the shell.

use crate::support::certificates::Certificates;
use crate::support::{Folder, Script, Server, shell};

/// A server on a unix socket that systemd opens for it, once that is there.
pub(crate) fn activated(folder: &Folder, options: &str, command: &str) -> Script {
    let path = folder.text("s");
    let script = format!("exec systemd-socket-activate {options} -l {path} $BIN {command}");
    let ca = Certificates::shared();
    let server = Script::start(&script, &[("PEM", &ca.file("localhost.pem"))]);
    shell("until [ -S $AT ]; do sleep 0.02; done", &[("AT", &path)]).prints("");
    server
}

#[test]
fn a_service_manager_passes_sockets_by_name_and_number() {
    for (options, command, transport) in [
        ("--fdname=web", "serve systemd://web echo", "unix"),
        ("--fdname=web", "serve systemd://0 echo", "unix"),
        ("", "serve systemd://unknown echo", "unix"),
        ("", "serve systemd://* echo --max-connections 1", "unix"),
        ("", "serve fd://3 echo --idle-timeout 20s", "unix"),
        ("-d", "serve systemd://* echo", "udg"),
        ("", "serve systemd://* -- cat", "unix"),
        ("-d", "serve systemd://* -- cat", "udg"),
        (
            "",
            "serve tls+systemd://* --certificate $PEM echo",
            "tls+unix",
        ),
    ] {
        let folder = Folder::new();
        let _server = activated(&folder, options, command);
        let url = format!("{transport}://{}", folder.text("s"));
        let ca = Certificates::shared().file("ca.pem");
        let tls = if transport.starts_with("tls") {
            "--ca $CA --peer-name localhost"
        } else {
            ""
        };
        let ask = format!("printf hello | $BIN connect $URL --wait 1s {tls}");
        let outcome = shell(&ask, &[("URL", &url), ("CA", &ca)]);
        assert_eq!(outcome.text(), "hello", "{command}: {outcome:?}");
    }
}

#[test]
fn a_connection_of_the_shell_is_gone_on_with() {
    let echo = Server::start("tcp://127.0.0.1:0 echo");
    let variables = [("PORT", echo.port())];
    let connected = "exec 7<>/dev/tcp/127.0.0.1/$PORT; printf hello |";
    for url in ["fd://7", "'fd://7?nodelay=1'"] {
        let script = format!("{connected} $BIN connect {url}");
        shell(&script, &variables).prints("hello");
    }
    // Standard input is a socket, as inetd starts servers.
    let script = "$BIN connect fd://0 </dev/tcp/127.0.0.1/$PORT --verbose";
    let outcome = shell(script, &variables);
    assert!(
        outcome.err.contains("connected to tcp://127.0.0.1:"),
        "{outcome:?}"
    );
}

#[test]
fn a_relay_has_it_on_either_side() {
    let echo = Server::start("tcp://127.0.0.1:0 echo");
    let folder = Folder::new();
    let relay = format!("relay systemd://* {}", echo.url());
    let _relay = activated(&folder, "", &relay);
    let url = format!("unix://{}", folder.text("s"));
    for _ in 0..2 {
        shell("printf hello | $BIN connect $URL", &[("URL", &url)]).prints("hello");
    }
    // One client has the connection, and the next is told that there is no other.
    let script = "exec 7<>/dev/tcp/127.0.0.1/$PORT; \
        exec $BIN relay unix://$IN fd://7 --retry 1h --max-connections 1";
    let path = folder.text("in");
    let _relay = Script::start(script, &[("PORT", echo.port()), ("IN", &path)]);
    let script = "until [ -S $AT ]; do sleep 0.02; done; printf hello | $BIN connect unix://$AT";
    shell(script, &[("AT", &path)]).prints("hello");
    let second = shell("$BIN connect unix://$AT </dev/null", &[("AT", &path)]);
    assert_eq!(second.text(), "", "{second:?}");
}

#[test]
fn what_is_not_there_is_told() {
    for (script, told) in [
        (
            "$BIN serve systemd://web echo",
            "cannot open systemd://web: no sockets were passed: LISTEN_FDS is not set",
        ),
        (
            "LISTEN_FDS=1 LISTEN_PID=1 $BIN serve systemd://web echo",
            "systemd://web: sockets were passed to another process: LISTEN_PID is \"1\"",
        ),
        (
            "exec 3</dev/null; LISTEN_FDS=1 LISTEN_PID=$BASHPID exec $BIN serve systemd://web echo",
            "none of the sockets that were passed is called so; there are unknown",
        ),
        (
            "exec 3</dev/null; LISTEN_FDS=1 LISTEN_PID=$BASHPID exec $BIN serve systemd://* echo",
            "cannot open systemd://*: socket operation on non-socket (ENOTSOCK)",
        ),
        (
            "LISTEN_FDS=1 LISTEN_PID=$BASHPID exec $BIN serve systemd://0 echo",
            "cannot open systemd://0: bad file number (EBADF)",
        ),
        (
            "$BIN serve fd://77 echo",
            "cannot open fd://77: bad file number (EBADF)",
        ),
        (
            "$BIN connect fd://77",
            "cannot open fd://77: bad file number (EBADF)",
        ),
    ] {
        let outcome = shell(script, &[]);
        assert!(outcome.err.contains(told), "{outcome:?}");
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
    }
}

//! `connect`, against servers that are not ours.

use crate::support::{Folder, Script, Server, abstract_name, free_port, shell};

/// A server of the given service in `$URL`, for scripts that measure the client.
fn with_server(service: &str, script: &str) -> crate::support::Outcome {
    let server = Server::start(&format!("tcp://127.0.0.1:0 {service}"));
    shell(script, &[("URL", server.url()), ("PORT", server.port())])
}

/// The same, in `$FOLDER`.
fn with_server_in_folder(service: &str, script: &str) -> crate::support::Outcome {
    let (server, folder) = (
        Server::start(&format!("tcp://127.0.0.1:0 {service}")),
        Folder::new(),
    );
    shell(
        script,
        &[("URL", server.url()), ("FOLDER", &folder.text(""))],
    )
}

/// A python3 server that prints its port, accepts one client `c`, and does what it is told.
fn python_server(body: &str) -> Script {
    let script = "exec python3 -c \"$SERVER\"";
    let server = format!(
        "import socket, struct, sys, time\n\
         s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\n\
         c, _ = s.accept()\n{body}"
    );
    Script::start(script, &[("SERVER", &server)])
}

#[test]
fn both_directions_with_socat_ncat_and_php() {
    let folder = Folder::new();
    for server in [
        "socat -t5 TCP-LISTEN:0,bind=127.0.0.1 EXEC:'tr a-z A-Z'",
        "socat -t5 UNIX-LISTEN:$NAMED EXEC:'tr a-z A-Z'",
        "socat -t5 ABSTRACT-LISTEN:$ABSTRACT EXEC:'tr a-z A-Z'",
        "php -n -r '$s = stream_socket_server(\"tcp://127.0.0.1:$argv[1]\");
            $c = stream_socket_accept($s); fwrite($c, strtoupper(stream_get_contents($c)));' $FREE",
        "php -n -r '$s = stream_socket_server(\"unix://$argv[1]\");
            $c = stream_socket_accept($s);
            fwrite($c, strtoupper(stream_get_contents($c)));' $NAMED",
    ] {
        // Whoever listens is known by a connect that succeeds.
        let url = if server.contains("$NAMED") {
            "unix://$NAMED"
        } else if server.contains("$ABSTRACT") {
            "unix://@$ABSTRACT"
        } else {
            "tcp://127.0.0.1:$FREE"
        };
        let server = server.replace("TCP-LISTEN:0", "TCP-LISTEN:$FREE");
        let script = format!(
            "rm -f $NAMED
            {server} &
            for i in $(seq 100); do
                seq 5000 | sed s/^/line/ | $BIN connect {url} --timeout 20s 2>/dev/null && break
                sleep 0.05
            done | cksum; wait"
        );
        let name = abstract_name("upper");
        let variables = [
            ("NAMED", folder.text("upper")),
            ("ABSTRACT", name),
            ("FREE", free_port()),
        ];
        let variables = variables
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let expected = shell("seq 5000 | sed s/^/LINE/ | cksum", &[]);
        shell(&script, &variables).prints(expected.text());
    }
}

/// ncat and nc send their own input, and don't answer.
#[test]
fn both_directions_with_ncat_and_netcat() {
    let folder = Folder::new();
    for server in [
        "ncat -l 127.0.0.1 $FREE",
        "nc.openbsd -N -l 127.0.0.1 $FREE",
    ] {
        let script = format!(
            "seq 5000 | {server} >$GOT & server=$!
            for i in $(seq 100); do
                seq 6000 | $BIN connect 127.0.0.1:$FREE --wait 5s 2>/dev/null && break
                sleep 0.05
            done | cksum; wait $server; cksum <$GOT"
        );
        let expected = shell("seq 5000 | cksum; seq 6000 | cksum", &[]);
        let variables = [("GOT", folder.text("got")), ("FREE", free_port())];
        let variables = variables
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        shell(&script, &variables).prints(expected.text());
    }
}

#[test]
fn datagrams_with_socat_and_python() {
    let folder = Folder::new();
    let path = folder.text("upper");
    for (family, bind, url) in [
        ("AF_INET", "('127.0.0.1', 0)", "udp://127.0.0.1"),
        ("AF_INET6", "('::1', 0)", "udp://[::1]"),
        ("AF_UNIX", "sys.argv[1]", "udg://$NAMED"),
    ] {
        // It answers each datagram twice, with its length.
        let server = format!(
            "import socket, sys\n\
             s = socket.socket(socket.{family}, socket.SOCK_DGRAM); s.bind({bind})\n\
             n = s.getsockname(); print(n[1] if n != sys.argv[1] else 0, flush=True)\n\
             while True:\n d, p = s.recvfrom(99999)\n s.sendto(b'%d ' % len(d), p); \
             s.sendto(b'twice\\n', p)"
        );
        let variables = [("SERVER", server.as_str()), ("NAMED", &path)];
        let mut server = Script::start("exec python3 -c \"$SERVER\" $NAMED", &variables);
        let port = server.line();
        let url = if port == "0" {
            url.to_owned()
        } else {
            format!("{url}:{port}")
        };
        let variables = [("NAMED", path.as_str())];
        for (input, expected) in [
            ("printf hello", "5 twice\n"),
            ("true", "0 twice\n"),
            (
                "{ printf one; sleep 0.3; printf three; }",
                "3 twice\n5 twice\n",
            ),
        ] {
            shell(&format!("{input} | $BIN connect {url}"), &variables).prints(expected);
        }
    }
    let script = "socat -u UDP-RECVFROM:$FREE,bind=127.0.0.1 - & server=$!; sleep 0.3
        printf 'one datagram' | $BIN connect udp://127.0.0.1:$FREE; wait $server";
    let free = "python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((\"127.0.0.1\", 0))
print(s.getsockname()[1], end=\"\")'";
    let free = shell(free, &[]);
    shell(script, &[("FREE", free.text())]).prints("one datagram");
}

#[test]
fn sixty_four_mebibytes_come_back_identical() {
    let folder = Folder::new();
    let path = folder.text("big");
    shell("head -c 67108864 /dev/urandom >$BIG", &[("BIG", &path)]).prints("");
    let echo = folder.text("echo");
    let server = Server::start(&format!("tcp://127.0.0.1:0 unix://{echo} echo"));
    for (url, pipe) in [
        (0, "$BIN connect $URL <$BIG | cmp - $BIG"),
        (
            1,
            "cat $BIG | $BIN connect $URL >$BIG.back; cmp $BIG $BIG.back",
        ),
    ] {
        let variables = [("URL", server.urls()[url].as_str()), ("BIG", &path)];
        shell(&format!("{pipe} && echo same"), &variables).prints("same\n");
    }
    let log = server.end();
    assert_eq!(
        log.matches("received=67108864 sent=67108864").count(),
        2,
        "{log}"
    );
}

/// Both ends of the command in the hands of one program that writes all before it reads: the
/// input must be taken as long as the peer takes it, whatever the output waits for.
#[test]
fn who_writes_all_before_reading_is_not_deadlocked() {
    let script = "python3 -c '
import subprocess, sys
p = subprocess.Popen([sys.argv[1], \"connect\", sys.argv[2]], stdin=-1, stdout=-1)
for _ in range(20): p.stdin.write(b\"x\" * 10000)
p.stdin.close(); print(len(p.stdout.read()), p.wait())' $BIN $URL";
    with_server("echo", script).prints("200000 0\n");
    // The peer sends more than all buffers hold, and nobody reads it before the input is taken.
    let mut server = python_server(
        "import threading\n\
         sending = threading.Thread(target=c.sendall, args=(b'y' * 5000000,)); sending.start()\n\
         n = 0\n\
         while d := c.recv(1 << 16): n += len(d)\n\
         sending.join(); print(n, flush=True)",
    );
    let url = format!("tcp://127.0.0.1:{}", server.line());
    let script = "python3 -c '
import subprocess, sys, time
p = subprocess.Popen([sys.argv[1], \"connect\", sys.argv[2]], stdin=-1, stdout=-1)
time.sleep(0.3); p.stdin.write(b\"x\" * 3000000)
p.stdin.close(); print(len(p.stdout.read()), p.wait())' $BIN $URL";
    shell(script, &[("URL", &url)]).prints("5000000 0\n");
    assert_eq!(server.finish(), (Some(0), "3000000\n".to_owned()));
    // The peer answers more than all buffers hold before it has taken the input.
    let mut server = python_server(
        "c.settimeout(20); c.sendall(b'y' * 5000000)\n\
         n = 0\n\
         while d := c.recv(1 << 16): n += len(d)\n\
         print(n, flush=True)",
    );
    let port = server.line();
    let script = "head -c 3000000 /dev/zero | $BIN connect tcp://127.0.0.1:$PORT | wc -c";
    shell(script, &[("PORT", &port)]).prints("5000000\n");
    assert_eq!(server.finish(), (Some(0), "3000000\n".to_owned()));
}

#[test]
fn input_is_sent_while_it_comes_after_the_peers_end() {
    let mut server = python_server(
        "c.sendall(b'bye\\n'); c.shutdown(socket.SHUT_WR)\n\
         print(c.makefile('rb').read().decode(), flush=True)",
    );
    let port = server.line();
    let script = "for i in 1 2 3; do printf $i; sleep 0.2; done | \
                  $BIN connect 127.0.0.1:$PORT --wait 2s";
    shell(script, &[("PORT", &port)]).prints("bye\n");
    assert_eq!(server.finish(), (Some(0), "123\n".to_owned()));
}

#[test]
fn a_peer_that_has_ended_may_be_slow_to_take_the_rest() {
    let mut server = python_server(
        "c.shutdown(socket.SHUT_WR); time.sleep(1)\n\
         print(len(c.makefile('rb').read()), flush=True)",
    );
    let port = server.line();
    let script = "head -c 20000000 /dev/zero | $BIN connect 127.0.0.1:$PORT --wait 100ms";
    shell(script, &[("PORT", &port)]).prints("");
    assert_eq!(server.finish(), (Some(0), "20000000\n".to_owned()));
}

#[test]
fn a_peer_that_takes_it_slowly_is_not_silent() {
    for limit in ["--timeout 1s", "--write-timeout 1s"] {
        let mut server = python_server(
            "begun, n = time.time(), 0\n\
             while (passed := time.time() - begun) < 3:\n    \
                 time.sleep(0.01)\n    \
                 while n < passed * 400000 and (got := c.recv(1000)): n += len(got)\n\
             print(n + len(c.makefile('rb').read()), flush=True)",
        );
        let port = server.line();
        let script = format!("head -c 20000000 /dev/zero | $BIN connect 127.0.0.1:$PORT {limit}");
        shell(&script, &[("PORT", &port)]).prints("");
        assert_eq!(server.finish(), (Some(0), "20000000\n".to_owned()));
    }
}

#[test]
fn an_input_that_never_ends_is_given_up_after_the_peers_end() {
    let server = Server::start("tcp://127.0.0.1:0 daytime");
    let mut client = Script::start("$BIN connect $URL --wait 100ms", &[("URL", server.url())]);
    assert!(client.line().starts_with("The local time is "));
    // Its input is still open.
    let status = client.child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_reset_is_an_error_and_what_came_before_it_is_written() {
    let mut server = python_server(
        "c.sendall(b'before\\n'); c.recv(1)\n\
         c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); c.close()",
    );
    let port = server.line();
    let script = "{ echo x; sleep 1; } | $BIN connect 127.0.0.1:$PORT";
    let outcome = shell(script, &[("PORT", &port)]);
    assert_eq!(
        (outcome.code, outcome.text()),
        (Some(1), "before\n"),
        "{outcome:?}"
    );
    assert!(
        outcome
            .err
            .starts_with("stream-socket: cannot read from tcp://127.0.0.1:")
            && outcome
                .err
                .ends_with("connection reset by peer (ECONNRESET)"),
        "{outcome:?}"
    );
}

#[test]
fn a_closed_udp_port_is_an_error() {
    let outcome = shell("echo x | $BIN connect udp://127.0.0.1:1", &[]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.err.contains("(ECONNREFUSED)"), "{outcome:?}");
}

#[test]
fn timeouts_are_errors_with_one_sentence() {
    let mut server = python_server("sys.stdin.read()");
    let port = server.line();
    let url = format!("tcp://127.0.0.1:{port}");
    let name = "gave up on tcp://127.0.0.1:";
    let begin = format!("stream-socket: {name}{port}: ");
    let outcome = shell("$BIN connect $URL --timeout 200ms <&-", &[("URL", &url)]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(
        outcome.err,
        format!("{begin}nothing moved either way for 200ms")
    );
    drop(server);

    let mut server = python_server("sys.stdin.read()");
    let url = format!("tcp://127.0.0.1:{}?read_timeout=100ms", server.line());
    let outcome = shell(
        "$BIN connect $URL --timeout 1h </dev/null",
        &[("URL", &url)],
    );
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.err.ends_with("read timed out after 100ms"),
        "{outcome:?}"
    );
    drop(server);

    let mut server = python_server("sys.stdin.read()");
    let url = format!("tcp://127.0.0.1:{}", server.line());
    let script = "yes | $BIN connect $URL --write-timeout 100ms";
    let outcome = shell(script, &[("URL", &url)]);
    assert!(
        outcome.err.contains("write timed out after 100ms"),
        "{outcome:?}"
    );
}

/// A full backlog never answers, as a host that is down.
#[test]
fn connecting_takes_no_longer_than_the_timeout() {
    let full = "import socket, sys
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(0)
held = [socket.socket() for _ in range(9)]
for h in held: h.setblocking(False); h.connect_ex(s.getsockname())
print(s.getsockname()[1], flush=True); sys.stdin.read()";
    let mut full = Script::start("exec python3 -c \"$FULL\"", &[("FULL", full)]);
    let url = format!("tcp://127.0.0.1:{}", full.line());
    for script in [
        "$BIN connect $URL --timeout 300ms </dev/null",
        "$BIN connect $URL --connect-timeout 300ms </dev/null",
        "$BIN connect $URL?connect_timeout=300ms --timeout 1h </dev/null",
    ] {
        let outcome = shell(script, &[("URL", &url)]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        let expected = "connect timed out after 300ms (ETIMEDOUT)";
        assert!(outcome.err.contains(expected), "{outcome:?}");
    }
}

#[test]
fn a_reader_who_had_enough_is_success() {
    let outcome = with_server(
        "chargen",
        "$BIN connect $URL </dev/null | head -c 100 | wc -c; echo ${PIPESTATUS[@]}",
    );
    outcome.prints("100\n0 0 0\n");
    // Nothing more comes and nothing is to be sent: it need not wait for the next byte.
    let outcome = with_server(
        "echo",
        "{ echo one; sleep 1; } | { $BIN connect $URL; echo $? >&2; } | head -n 1",
    );
    assert_eq!(
        (outcome.text(), outcome.err.as_str()),
        ("one\n", "0"),
        "{outcome:?}"
    );
    let mut silent = python_server("c.sendall(b'one\\n'); sys.stdin.read()");
    let port = silent.line();
    let script = "$BIN connect 127.0.0.1:$PORT </dev/null | head -n 1; echo ${PIPESTATUS[@]}";
    shell(script, &[("PORT", &port)]).prints("one\n0 0\n");
}

#[test]
fn it_rests_while_nothing_moves() {
    let server = Server::start("tcp://127.0.0.1:0 discard");
    let mut ended = python_server("c.shutdown(socket.SHUT_WR); sys.stdin.read()");
    let port = ended.line();
    // A silent peer, a reader that has gone, a peer that has ended.
    for ends in [
        "connect $URL",
        "connect $URL | true",
        "connect 127.0.0.1:$PORT --wait 1h",
    ] {
        let script = format!(
            "sleep 0.7 | python3 -c '
import os, resource, subprocess, sys
subprocess.run([\"bash\", \"-c\", \"$BIN {ends}\"], timeout=20)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime < 0.2)'"
        );
        let script = script.replace("$URL", "$0").replace("$PORT", "$0");
        let target = if ends.contains("$URL") {
            server.url()
        } else {
            &port
        };
        let script = script
            .replace("$0", target)
            .replace("$BIN", crate::support::BINARY);
        shell(&script, &[]).prints("True\n");
    }
    server.end();
}

#[test]
fn a_full_disk_is_an_error() {
    let outcome = with_server("daytime", "$BIN connect $URL </dev/null >/dev/full");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let expected = "stream-socket: cannot write to standard output: No space left";
    assert!(outcome.err.starts_with(expected), "{outcome:?}");
}

#[test]
fn standard_streams_of_any_kind() {
    let folder = Folder::new();
    let path = folder.text("file");
    let script = "
        echo one >$NAMED; $BIN connect $URL <$NAMED >$NAMED.out; cat $NAMED.out
        $BIN connect $URL <&- ; echo closed $?
        mkfifo $NAMED.fifo; echo two >$NAMED.fifo & $BIN connect $URL <$NAMED.fifo
        socat -t5 EXEC:'echo three' EXEC:\"$BIN connect $URL >$NAMED.socket\",nofork 2>/dev/null
        $BIN connect $URL </etc 2>&1 | tr '()' '  '";
    let server = Server::start("tcp://127.0.0.1:0 echo");
    let outcome = shell(script, &[("URL", server.url()), ("NAMED", &path)]);
    let text = outcome.text();
    assert!(text.starts_with("one\nclosed 0\ntwo\n"), "{outcome:?}");
    assert!(
        text.contains("cannot read standard input: Is a directory"),
        "{outcome:?}"
    );
}

#[test]
fn non_blocking_standard_streams_lose_nothing() {
    let script = "python3 -c '
import os, subprocess, sys, time
r, w = os.pipe(); os.set_blocking(w, False)
i, o = os.pipe(); os.set_blocking(i, False)
p = subprocess.Popen([sys.argv[1], \"connect\", sys.argv[2]], stdin=i, stdout=w)
os.close(w); os.close(i); sent = bytes(range(256)) * 200
n = 0
back = b\"\"
while n < len(sent): n += os.write(o, sent[n : n + 5000])
os.close(o); time.sleep(0.2)
while chunk := os.read(r, 3000): back += chunk
print(back == sent, p.wait())' $BIN $URL";
    with_server("echo", script).prints("True 0\n");
}

#[test]
fn verbose_tells_both_addresses() {
    let outcome = with_server(
        "daytime",
        "$BIN connect --verbose $URL </dev/null >/dev/null",
    );
    let line = &outcome.err;
    assert!(line.starts_with("connected to tcp://127.0.0.1:"), "{line}");
    assert!(line.contains(" from 127.0.0.1:"), "{line}");
    let outcome = with_server("daytime", "$BIN connect -v -q $URL </dev/null >/dev/null");
    assert_eq!(outcome.err, "");
}

#[test]
fn the_local_address_can_be_chosen() {
    let mut server = Server::start("tcp://127.0.0.1:0 daytime");
    let variables = [("URL", server.url())];
    shell("$BIN connect $URL --bind 127.0.0.3 </dev/null", &variables);
    let line = server.wait_for_log("accepted");
    assert!(line.contains("peer=tcp://127.0.0.3:"), "{line}");
}

/// A terminal is made by script(1): the bar is for people, and only where it hides nothing.
#[test]
fn a_long_transfer_shows_progress_on_a_terminal() {
    // It goes on until progress is shown.
    let slow = "until grep -q \" B, received \" seen; do echo x; sleep 0.1; done";
    for stdout in [">/dev/null", ""] {
        let script = format!("{slow} | $BIN connect $URL {stdout}");
        let terminal = "script -qefc 'bash -c \"$INNER\"' seen </dev/null";
        let script = format!("cd $FOLDER; : >seen; INNER='{script}' {terminal}");
        let outcome = with_server_in_folder("echo", &script);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let text = String::from_utf8_lossy(&outcome.out);
        assert!(text.contains(" B, received "), "{outcome:?}");
    }
    // On a busy machine it may be a long one all the same.
    let quick = "script -qec \"bash -c 'echo x | $BIN connect $URL >/dev/null'\" /dev/null";
    let is_silent = || {
        with_server("echo", &format!("{quick} </dev/null"))
            .text()
            .is_empty()
    };
    assert!((0..5).any(|_| is_silent()));
    let piped =
        "{ for i in $(seq 25); do echo x; sleep 0.1; done; } | $BIN connect $URL >/dev/null";
    assert_eq!(with_server("echo", piped).err, "");
}

#[test]
fn each_line_from_a_terminal_is_a_datagram() {
    let server = Server::start("udp://127.0.0.1:0 echo");
    let terminal = "python3 -c '
import os, pty, sys, time
pid, fd = pty.fork()
command = [\"stream-socket\", \"connect\", sys.argv[2], \"--wait\", \"300ms\"]
if pid == 0: os.execv(sys.argv[1], command)
time.sleep(0.3); os.write(fd, b\"one\\n\")
time.sleep(0.2); os.write(fd, b\"two\\n\"); time.sleep(0.2)
os.write(fd, b\"\\4\"); text = b\"\"
try:
    while chunk := os.read(fd, 1000): text += chunk
except OSError: pass
print(text.count(b\"one\"), text.count(b\"two\"), os.waitpid(pid, 0)[1])' $BIN $URL";
    // Each is seen as it is typed, and as it comes back.
    shell(terminal, &[("URL", server.url())]).prints("2 2 0\n");
    let log = server.end();
    assert!(log.contains("received=2 answered=2"), "{log}");
}

#[test]
fn proxies_that_want_a_name_and_password_are_told_them() {
    let echo = Server::start("tcp://127.0.0.1:0 echo");
    for (protocol, proxy) in [
        (
            "http",
            "ncat -k -l 127.0.0.1 $FREE --proxy-type http --proxy-auth 'me:p@ss'",
        ),
        ("socks5", "microsocks -i 127.0.0.1 -p $FREE -u me -P 'p@ss'"),
    ] {
        let script = format!(
            "{proxy} & proxy=$!
            ask() {{
                (printf hello; sleep 0.3) |
                    $BIN connect $URL --via $1
            }}
            VIA=127.0.0.1:$FREE
            umask 077; echo {protocol}://me:p%40ss@$VIA >$FOLDER/via
            for i in $(seq 100); do ask @$FOLDER/via 2>/dev/null && break; sleep 0.05; done
            ask {protocol}://me:secret@$VIA && echo let in
            kill $proxy"
        );
        let folder = Folder::new();
        let variables = [
            ("URL", echo.url()),
            ("FOLDER", &folder.text("")),
            ("FREE", &free_port()),
        ];
        let outcome = shell(&script, &variables);
        outcome.prints("hello");
        let refused = outcome.err.contains("407 Proxy Authentication Required")
            || outcome
                .err
                .contains("it does not take the name and password");
        assert!(refused && !outcome.err.contains("secret"), "{outcome:?}");
    }
}

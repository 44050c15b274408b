//! Every service, over every transport, asked by clients that are not ours.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{Folder, Outcome, Server, abstract_name, shell};

/// What PHP would print before and after: the minute may end in between.
fn php_time() -> String {
    let php = "php -n -r 'date_default_timezone_set(\"UTC\"); echo date(\"n/j/Y g:i a\");'";
    let now = shell(php, &[]);
    format!("The local time is {}\n", now.text())
}

#[track_caller]
fn is_daytime(before: &str, outcome: &Outcome) {
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let (text, after) = (outcome.text(), php_time());
    assert!(
        text == before || text == after,
        "{outcome:?}, not {after:?}"
    );
}

#[test]
fn daytime_over_tcp_is_the_line_of_phps_manual() {
    let server = Server::start("tcp://127.0.0.1:0 daytime");
    for client in [
        "curl -s telnet://127.0.0.1:$PORT </dev/null",
        "nc.openbsd 127.0.0.1 $PORT </dev/null",
        "ncat 127.0.0.1 $PORT </dev/null",
        "socat -u TCP:127.0.0.1:$PORT -",
        "php -n -r '$s = stream_socket_client(\"tcp://127.0.0.1:$argv[1]\");
            while (!feof($s)) echo fgets($s, 1024);' $PORT",
        "$BIN connect tcp://127.0.0.1:$PORT </dev/null",
    ] {
        let before = php_time();
        is_daytime(&before, &shell(client, &[("PORT", server.port())]));
    }
    server.end();
}

#[test]
fn daytime_over_udp_answers_an_empty_datagram() {
    let server = Server::start("udp://127.0.0.1:0 daytime");
    for client in [
        "echo | nc.openbsd -u -w1 127.0.0.1 $PORT",
        // It ends with its input, before the answer is there.
        "coproc NCAT { exec ncat -u 127.0.0.1 $PORT; }
            echo >&${NCAT[1]}; head -n 1 <&${NCAT[0]}; kill $NCAT_PID",
        "echo | socat -t1 - UDP:127.0.0.1:$PORT",
        "php -n -r '$s = stream_socket_client(\"udp://127.0.0.1:$argv[1]\");
            fwrite($s, \"\\n\"); echo fread($s, 1024);' $PORT",
        "$BIN connect udp://127.0.0.1:$PORT </dev/null",
    ] {
        let before = php_time();
        is_daytime(&before, &shell(client, &[("PORT", server.port())]));
    }
    server.end();
}

#[test]
fn daytime_over_unix_paths_and_abstract_names() {
    let folder = Folder::new();
    let (path, name) = (folder.text("daytime"), abstract_name("daytime"));
    let server = Server::start(&format!("unix://{path} unix://@{name} daytime"));
    for client in [
        "socat -u UNIX-CONNECT:$NAMED -",
        "nc.openbsd -U $NAMED </dev/null",
        "ncat -U $NAMED </dev/null",
        "php -n -r '$s = stream_socket_client(\"unix://$argv[1]\");
            echo stream_get_contents($s);' $NAMED",
        "$BIN connect unix://$NAMED </dev/null",
        "socat -u ABSTRACT-CONNECT:$ABSTRACT -",
        "php -n -r '$s = stream_socket_client(\"unix://\\0$argv[1]\");
            echo stream_get_contents($s);' $ABSTRACT",
        "$BIN connect unix://@$ABSTRACT </dev/null",
    ] {
        let before = php_time();
        let variables = [("NAMED", path.as_str()), ("ABSTRACT", &name)];
        is_daytime(&before, &shell(client, &variables));
    }
    server.end();
}

#[test]
fn daytime_over_udg_paths_and_abstract_names() {
    let folder = Folder::new();
    let (path, name) = (folder.text("daytime"), abstract_name("daytime-udg"));
    let server = Server::start(&format!("udg://{path} udg://@{name} daytime"));
    for client in [
        "echo | socat -t1 - UNIX-SENDTO:$NAMED,bind=$NAMED.client,unlink-early",
        "echo | nc.openbsd -uU -w1 $NAMED",
        "$BIN connect udg://$NAMED </dev/null",
        "$BIN connect udg://@$ABSTRACT </dev/null",
        "python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(\"\"); s.sendto(b\"\", \"\\0\" + sys.argv[1])
print(s.recv(100).decode(), end=\"\")' $ABSTRACT",
    ] {
        let before = php_time();
        let variables = [("NAMED", path.as_str()), ("ABSTRACT", &name)];
        is_daytime(&before, &shell(client, &variables));
    }
    server.end();
}

#[test]
fn daytime_has_the_local_zone_and_any_format() {
    let script = "coproc S {
            exec env TZ=Asia/Kolkata $BIN serve tcp://127.0.0.1:0 daytime --daytime-format '%Z %z'
        }
        read -u ${S[0]} url; $BIN connect $url </dev/null; kill $S_PID; wait $S_PID";
    let outcome = shell(script, &[]);
    assert_eq!(outcome.text(), "IST +0530\n", "{outcome:?}");
}

#[test]
fn time_is_seconds_since_1900() {
    let folder = Folder::new();
    let path = folder.text("time");
    let server = Server::start(&format!(
        "tcp://127.0.0.1:0 unix://{path} udp://127.0.0.1:0 udg://{path}.dg time"
    ));
    let [tcp, unix, udp, udg] = server.urls() else {
        panic!("{:?}", server.urls());
    };
    let seconds = |url: &str| {
        let outcome = shell("$BIN connect $URL </dev/null", &[("URL", url)]);
        let bytes: [u8; 4] = outcome.out.as_slice().try_into().expect(url);
        u64::from(u32::from_be_bytes(bytes))
    };
    for url in [tcp, unix, udp, udg] {
        let now = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs()
        };
        let before = now() + 2_208_988_800;
        let told = seconds(url);
        assert!(
            (before..=now() + 2_208_988_800).contains(&told),
            "{url}: {told}"
        );
    }
    let rdate = "python3 -c '
import socket, sys
host, port = sys.argv[1][6:].split(\":\")
s = socket.create_connection((host, int(port)))
print(len(s.recv(10)), len(s.recv(10)))' $URL";
    shell(rdate, &[("URL", tcp)]).prints("4 0\n");
    server.end();
}

#[test]
fn echo_over_streams_answers_all_before_it_closes() {
    let folder = Folder::new();
    let path = folder.text("echo");
    let server = Server::start(&format!("tcp://127.0.0.1:0 unix://{path} echo"));
    let variables = [("PORT", server.port()), ("NAMED", path.as_str())];
    for client in [
        "seq 20000 | nc.openbsd -N 127.0.0.1 $PORT",
        "seq 20000 | ncat 127.0.0.1 $PORT",
        "seq 20000 | socat -t10 - TCP:127.0.0.1:$PORT",
        "seq 20000 | socat -t10 - UNIX-CONNECT:$NAMED",
        "seq 20000 | nc.openbsd -N -U $NAMED",
        "seq 20000 | $BIN connect unix://$NAMED",
        "php -n -r '$s = stream_socket_client(\"tcp://127.0.0.1:$argv[1]\");
            fwrite($s, implode(\"\\n\", range(1, 20000)) . \"\\n\");
            stream_socket_shutdown($s, STREAM_SHUT_WR); echo stream_get_contents($s);' $PORT",
    ] {
        let outcome = shell(&format!("{client} | cksum"), &variables);
        outcome.prints(shell("seq 20000 | cksum", &[]).text());
    }
    server.end();
}

#[test]
fn echo_over_datagrams_keeps_each_whole() {
    let folder = Folder::new();
    let path = folder.text("echo");
    let server = Server::start(&format!("udp://127.0.0.1:0 udg://{path} echo"));
    let client = "python3 -c '
import socket, sys
if sys.argv[1].startswith(\"udp\"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    host, port = sys.argv[1][6:].split(\":\"); s.connect((host, int(port)))
else:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(\"\"); s.connect(sys.argv[1][6:])
s.settimeout(10)
for size in 0, 1, 1500, 9000, 65507:
    asked = bytes(i % 251 for i in range(size))
    s.send(asked)
    assert s.recv(100000) == asked, size
for size in range(9): s.send(b\"x\" * size)
print([len(s.recv(100)) for _ in range(9)])' $URL";
    for url in server.urls() {
        shell(client, &[("URL", url)]).prints("[0, 1, 2, 3, 4, 5, 6, 7, 8]\n");
    }
    server.end();
}

#[test]
fn discard_takes_everything_and_says_nothing() {
    let folder = Folder::new();
    let path = folder.text("discard");
    let mut server = Server::start(&format!(
        "tcp://127.0.0.1:0 unix://{path} udp://127.0.0.1:0 udg://{path}.dg discard"
    ));
    for url in server.urls() {
        let script = "head -c 3000000 /dev/zero | $BIN connect $URL --wait 100ms";
        let script = if url.starts_with("ud") {
            "echo something | $BIN connect $URL --wait 100ms"
        } else {
            script
        };
        shell(script, &[("URL", url)]).prints("");
    }
    shell(
        "seq 1000 | socat -t5 - TCP:127.0.0.1:$PORT",
        &[("PORT", server.port())],
    )
    .prints("");
    let line = server.wait_for_log("received=3893");
    assert!(
        line.contains("sent=0") && line.contains("reason=done"),
        "{line}"
    );
    server.end();
}

#[test]
fn chargen_is_the_text_of_the_rfc_until_the_client_closes() {
    let folder = Folder::new();
    let path = folder.text("chargen");
    let server = Server::start(&format!("tcp://127.0.0.1:0 unix://{path} chargen"));
    let expected = "python3 -c '
ring = bytes(range(32, 127)) * 2
for line in range(3000): print(ring[line % 95 : line % 95 + 72].decode(), end=\"\\r\\n\")'";
    let expected = shell(expected, &[]);
    for client in [
        "nc.openbsd 127.0.0.1 $PORT </dev/null",
        "ncat 127.0.0.1 $PORT </dev/null",
        "socat -u UNIX-CONNECT:$NAMED -",
        "$BIN connect tcp://127.0.0.1:$PORT </dev/null",
        "yes | $BIN connect unix://$NAMED",
    ] {
        let variables = [("PORT", server.port()), ("NAMED", path.as_str())];
        let outcome = shell(&format!("{client} 2>&1 | head -c 222000"), &variables);
        assert!(outcome.out == expected.out, "{client}");
    }
    server.end();
}

#[test]
fn chargen_over_datagrams_is_a_line_or_as_much_as_was_asked() {
    let folder = Folder::new();
    let path = folder.text("chargen");
    let server = Server::start(&format!(
        "udp://127.0.0.1:0 udp://[::1]:0 udg://{path} chargen"
    ));
    for (url, input, expected) in [
        (0, "", 56),
        (0, "0123456789", 74),
        (1, "", 74),
        (2, "", 74),
        (0, &"x".repeat(300), 300),
        (0, &"x".repeat(3000), 512),
    ] {
        let variables = [("URL", server.urls()[url].as_str()), ("INPUT", input)];
        let outcome = shell(
            "printf %s $INPUT | $BIN connect $URL --wait 300ms",
            &variables,
        );
        assert_eq!(outcome.out.len(), expected, "{outcome:?}");
    }
    server.end();
}

#[test]
fn qotd_is_one_line_and_the_same_all_day() {
    let folder = Folder::new();
    let path = folder.text("qotd");
    let server = Server::start(&format!(
        "tcp://127.0.0.1:0 unix://{path} udp://127.0.0.1:0 udg://{path}.dg qotd"
    ));
    let mut quotes: Vec<String> = Vec::new();
    for url in server.urls() {
        let outcome = shell("$BIN connect $URL </dev/null", &[("URL", url)]);
        assert!(outcome.text().ends_with(".\n"), "{outcome:?}");
        quotes.push(outcome.text().to_owned());
    }
    quotes.dedup();
    assert!(quotes.len() <= 2, "{quotes:?}");
    server.end();
}

/// To close a socket whose input is unread resets the connection, and the reset overtakes the
/// answer where the network is slow. So a client whose words have come is waited for.
#[test]
fn a_client_that_has_said_something_is_not_cut_off() {
    // Accepted when its words are there.
    let server = Server::start("tcp://127.0.0.1:0?defer_accept=5s daytime");
    let client = "python3 -c '
import socket, sys, time
s = socket.create_connection((\"127.0.0.1\", int(sys.argv[1])))
s.sendall(b\"GET / HTTP/1.0\\r\\n\\r\\n\" * 1000)
line = s.makefile().readline()
s.sendall(b\"more\"); s.sendall(b\"and more\")
assert s.recv(100) == b\"\"
print(line.startswith(\"The local time is \"))' $PORT";
    shell(client, &[("PORT", server.port())]).prints("True\n");
    let log = server.end();
    assert!(
        log.contains("reason=done") && !log.contains("reset"),
        "{log}"
    );
}

/// A client that has its answer and says something afterwards may be told that nobody listens, but
/// the answer is before that in its queue.
#[test]
fn an_answer_survives_what_the_client_sends_too_late() {
    let server = Server::start("tcp://127.0.0.1:0 daytime");
    let client = "python3 -c '
import socket, sys
for turn in range(20):
    s = socket.create_connection((\"127.0.0.1\", int(sys.argv[1])))
    try: s.sendall(b\"GET / HTTP/1.0\\r\\n\\r\\n\" * 1000)
    except OSError: pass
    assert s.makefile().readline().startswith(\"The local time is \")
print(True)' $PORT";
    shell(client, &[("PORT", server.port())]).prints("True\n");
    server.end();
}

#[test]
fn names_and_ipv6_and_missing_transports() {
    // What the name stands for may be one address or two.
    let server = Server::start("tcp://[::1]:0 udp://[::1]:0 tcp://localhost:0 daytime");
    let urls = server.urls();
    assert!(urls[0].starts_with("tcp://[::1]:"), "{urls:?}");
    for url in urls {
        let before = php_time();
        let variables = [("URL", url.as_str())];
        is_daytime(&before, &shell("$BIN connect $URL </dev/null", &variables));
    }
    let port = urls[2].rsplit_once(':').unwrap().1;
    let before = php_time();
    let by_name = shell("$BIN connect localhost:$PORT </dev/null", &[("PORT", port)]);
    is_daytime(&before, &by_name);
    server.end();
}

#[test]
fn a_url_works_as_soon_as_it_is_printed() {
    let script = "for i in $(seq 20); do
        coproc S { exec $BIN serve tcp://127.0.0.1:0 time --quiet; }
        read -u ${S[0]} url
        $BIN connect $url </dev/null | wc -c
        kill $S_PID; wait $S_PID 2>/dev/null
    done | sort | uniq -c | tr -s ' '";
    shell(script, &[]).prints(" 20 4\n");
}

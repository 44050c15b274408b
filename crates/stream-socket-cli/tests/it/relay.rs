//! Connections that are passed on: between all transports, and when something is in the way.

mod conversation;
mod neighbours;
mod nodelay;
mod pairs;
mod shortages;

use std::process::Command;
use std::time::Instant;

use crate::support::certificates::Certificates;
use crate::support::{BINARY, Folder, Script, Server, abstract_name, free_port, is_root, shell};

/// Sends two megabytes of random data through `$URL` to an echo, and compares.
const ROUND_TRIP: &str = "head -c 2000000 /dev/urandom > $FILE && \
     $BIN connect $URL --timeout 20s < $FILE | cmp - $FILE && echo equal";

#[test]
fn bytes_go_between_all_transports_unharmed() {
    let folder = Folder::new();
    let own = |name: &str| format!("unix://{}", folder.text(name));
    let listens = [
        "tcp://127.0.0.1:0".to_owned(),
        "tcp://[::1]:0".to_owned(),
        own("in"),
        format!("unix://@{}", abstract_name("relay")),
    ];
    let targets = ["tcp://127.0.0.1:0".to_owned(), own("out")];
    for target in &targets {
        let echo = Server::start(&format!("{target} echo --quiet"));
        for listen in &listens {
            let relay = Server::relay(&format!("{listen} {}", echo.url()));
            let file = folder.text("data");
            let variables = [("URL", relay.url()), ("FILE", &file)];
            shell(ROUND_TRIP, &variables).prints("equal\n");
            let log = relay.end();
            let line = log.lines().find(|line| line.contains("closed by client"));
            let line = line.unwrap_or_else(|| panic!("{log}"));
            assert!(
                line.contains("up=2000000 down=2000000 milliseconds="),
                "{line}"
            );
            assert!(line.contains(&format!("target={}", echo.url())), "{line}");
        }
    }
}

#[test]
fn datagrams_go_between_all_transports_that_have_them() {
    let folder = Folder::new();
    for target in [
        "udp://127.0.0.1:0".to_owned(),
        format!("udg://{}", folder.text("out")),
    ] {
        let echo = Server::start(&format!("{target} echo"));
        let listens = [
            "udp://127.0.0.1:0".to_owned(),
            format!("udg://{}", folder.text("in")),
        ];
        for listen in listens {
            let limit = "--peer-idle-timeout 1s";
            let mut relay = Server::relay(&format!("{listen} {} {limit}", echo.url()));
            let variables = [("URL", relay.url())];
            let ask = "for i in 1 2 3; do printf $i$i$i | $BIN connect $URL --wait 300ms; done";
            shell(ask, &variables).prints("111222333");
            for _ in 0..3 {
                let line = relay.wait_for_log("idle for too long");
                assert!(line.contains("up=3 down=3"), "{line}");
            }
            relay.end();
        }
    }
}

#[test]
fn bytes_become_datagrams_and_datagrams_bytes() {
    let echo = Server::start("udp://127.0.0.1:0 tcp://127.0.0.1:0 echo");
    for (listen, target) in [("tcp", &echo.urls()[0]), ("udp", &echo.urls()[1])] {
        let relay = Server::relay(&format!(
            "{listen}://127.0.0.1:0 {target} --half-closed 300ms"
        ));
        let ask = "printf hello | $BIN connect $URL --wait 300ms";
        shell(ask, &[("URL", relay.url())]).prints("hello");
    }
}

#[test]
fn a_web_page_comes_through() {
    let folder = Folder::new();
    std::fs::write(folder.path("page"), "<p>it works</p>").unwrap();
    let root = folder.root().to_str().unwrap().to_owned();
    let serve = "exec python3 -u -m http.server 0 --bind 127.0.0.1 --directory $ROOT 2>&1";
    let mut web = Script::start(serve, &[("ROOT", &root)]);
    let line = web.line();
    let port = line
        .split_whitespace()
        .skip_while(|word| *word != "port")
        .nth(1);
    let target = format!(
        "tcp://127.0.0.1:{}",
        port.unwrap_or_else(|| panic!("{line}"))
    );
    let (certificates, path) = (Certificates::shared(), folder.text("socket"));
    let (ca, pem) = (
        certificates.file("ca.pem"),
        certificates.file("localhost.pem"),
    );
    for (listen, ask) in [
        ("tcp://127.0.0.1:0", "http://127.0.0.1:$PORT/page"),
        ("mptcp://127.0.0.1:0", "http://127.0.0.1:$PORT/page"),
        (
            "tls://127.0.0.1:0",
            "https://localhost:$PORT/page --resolve localhost:$PORT:127.0.0.1",
        ),
        (
            "unix://$PATH",
            "--unix-socket $SOCKET http://localhost/page",
        ),
        (
            "tls+unix://$PATH",
            "--unix-socket $SOCKET https://localhost/page",
        ),
    ] {
        let mut words = format!("{} {target}", listen.replace("$PATH", &path));
        if listen.starts_with("tls") {
            words += &format!(" --certificate {pem}");
        }
        let relay = Server::relay(&words);
        let variables = [("PORT", relay.port()), ("SOCKET", &path), ("CA", &ca)];
        shell(&format!("curl -s --cacert $CA {ask}"), &variables).prints("<p>it works</p>");
        relay.end();
    }
}

#[test]
fn a_target_that_comes_late_is_waited_for() {
    let folder = Folder::new();
    let target = format!("unix://{}", folder.text("late"));
    let mut relay = Server::relay(&format!("tcp://127.0.0.1:0 {target} --retry 10s"));
    let variables = [("URL", relay.url().to_owned())];
    let variables = variables
        .each_ref()
        .map(|(name, url)| (*name, url.as_str()));
    let client = Script::start("printf patient | $BIN connect $URL", &variables);
    shell("sleep 0.3", &[]);
    let echo = Server::start(&format!("{target} echo"));
    assert_eq!(client.finish(), (Some(0), "patient".to_owned()));
    drop(echo);
    relay.wait_for_log("closed by client");
    // And one that does not come is given up.
    let hopeless = Server::relay(&format!("tcp://127.0.0.1:0 {target} --retry 200ms"));
    let ask = "$BIN connect $URL --timeout 20s </dev/null";
    shell(ask, &[("URL", hopeless.url())]).prints("");
    let log = hopeless.end();
    let sentence = format!("target not reached: cannot connect to {target}: ");
    assert!(log.contains(&sentence), "{log}");
}

#[test]
fn a_name_is_looked_up_again_on_hang_up() {
    if !is_root() {
        eprintln!("skipped: a hosts file of one's own takes root's mounts");
        return;
    }
    let folder = Folder::new();
    let hosts = folder.path("hosts");
    std::fs::write(&hosts, "127.0.0.2 moving.test\n").unwrap();
    let first = Server::start("tcp://127.0.0.2:0 daytime --daytime-format first");
    let port = first.port().to_owned();
    let words = format!("tcp://127.0.0.3:{port} daytime --daytime-format second");
    let second = Server::start(&words);
    let script = format!(
        "mount --bind {} /etc/hosts && \
         exec {BINARY} relay tcp://127.0.0.1:0 tcp://moving.test:{port} --refresh 1h",
        hosts.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    let relay = Server::start_command(command, 1);
    let ask = || shell("$BIN connect $URL </dev/null", &[("URL", relay.url())]);
    ask().prints("first\n");
    std::fs::write(&hosts, "127.0.0.3 moving.test\n").unwrap();
    ask().prints("first\n");
    relay.signal("HUP");
    let asked = std::iter::repeat_with(ask).take(100);
    assert!(
        asked
            .map(|outcome| outcome.out)
            .any(|text| text == b"second\n")
    );
    // What can't be reached is looked up again by itself.
    std::fs::write(&hosts, "127.0.0.2 moving.test\n").unwrap();
    second.end();
    ask().prints("first\n");
}

#[test]
fn many_clients_bring_about_few_look_ups() {
    if !is_root() {
        eprintln!("skipped: a hosts file of one's own takes root's mounts");
        return;
    }
    let folder = Folder::new();
    let (hosts, order) = (folder.path("hosts"), folder.path("order"));
    std::fs::write(&hosts, "127.0.0.2 leaving.test\n").unwrap();
    std::fs::write(&order, "hosts: files\n").unwrap();
    // Of a listener that is gone nobody has the port.
    let port = Server::start("tcp://127.0.0.2:0 echo").port().to_owned();
    let script = format!(
        "mount --bind {} /etc/hosts && mount --bind {} /etc/nsswitch.conf && \
         exec {BINARY} relay tcp://127.0.0.1:0 tcp://leaving.test:{port} --retry 0s",
        hosts.display(),
        order.display(),
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    let relay = Server::start_command(command, 1);
    std::fs::write(&hosts, "").unwrap();
    let start = Instant::now();
    let many = "for i in $(seq 50); do $BIN connect $URL </dev/null; done; true";
    shell(many, &[("URL", relay.url())]);
    let most = start.elapsed().as_millis() as usize / 250 + 2;
    let log = relay.end();
    assert_eq!(log.matches("target not reached").count(), 50, "{log}");
    let looks = log.matches("cannot resolve").count();
    assert!(looks <= most, "{looks} look-ups: {log}");
}

#[test]
fn a_connection_in_flight_finishes_within_the_drain() {
    let echo = Server::start("tcp://127.0.0.1:0 echo");
    let mut relay = Server::relay(&format!("tcp://127.0.0.1:0 {} --drain 30s", echo.url()));
    let mut client = Script::start("$BIN connect $URL", &[("URL", relay.url())]);
    client.write("before\n");
    assert_eq!(client.line(), "before");
    relay.signal("TERM");
    let line = relay.wait_for_log("draining");
    assert!(line.contains("connections=1"), "{line}");
    client.write("after\n");
    assert_eq!(client.finish(), (Some(0), "after\n".to_owned()));
    let (status, log) = relay.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("up=13 down=13"), "{log}");
}

#[test]
fn limits_in_number_and_time_are_in_force() {
    let echo = Server::start("tcp://127.0.0.1:0 echo");
    let limits = "--max-connections 1 --close-when-full --idle-timeout 500ms";
    let mut relay = Server::relay(&format!("tcp://127.0.0.1:0 {} {limits}", echo.url()));
    let mut first = Script::start("$BIN connect $URL --wait 0s", &[("URL", relay.url())]);
    first.write("x\n");
    assert_eq!(first.line(), "x");
    shell(
        "$BIN connect $URL </dev/null || echo closed",
        &[("URL", relay.url())],
    );
    relay.wait_for_log("idle for too long");
    let log = relay.end();
    assert_eq!(log.matches("up=").count(), 1, "{log}");
}

#[test]
fn limits_of_a_file_change_on_hang_up_and_connections_stay() {
    let folder = Folder::new();
    let write = |text: &str| std::fs::write(folder.path("limits"), text).unwrap();
    write("# of a test\nmax_connections = 1\n");
    let echo = Server::start("tcp://127.0.0.1:0 echo");
    let (target, limits) = (echo.url(), folder.text("limits"));
    let mut relay = Server::relay(&format!(
        "tcp://127.0.0.1:0?max_connections=7 {target} --close-when-full --limits {limits}"
    ));
    let url = relay.url().to_owned();
    let connect = || {
        let mut client = Script::start("$BIN connect $URL", &[("URL", &url)]);
        client.write("x\n");
        client
    };
    let mut first = connect();
    assert_eq!(first.line(), "x");
    assert_eq!(connect().line(), "");
    write("max_connections=2\nidle_timeout=500ms\n");
    relay.signal("HUP");
    relay.wait_for_log("new limits");
    let mut second = connect();
    assert_eq!(second.line(), "x");
    assert_eq!(connect().line(), "");
    let line = relay.wait_for_log("idle for too long");
    assert!(line.contains("up=2 down=2"), "{line}");
    // Nobody limited the idle time of the first.
    first.write("y\n");
    assert_eq!(first.line(), "y");
    write("max_connections=2\nbacklog=1\n");
    relay.signal("HUP");
    let line = relay.wait_for_log("kept the old limits");
    let sentence = "limits, line 2: `backlog` is none of max_connections, ";
    assert!(line.contains(sentence), "{line}");
    write("\nmax_connections = 0\n");
    relay.signal("HUP");
    let line = relay.wait_for_log("kept the old limits");
    let sentence = "limits, line 2: max_connections is 0, so that nobody would be served";
    assert!(line.contains(sentence), "{line}");
    first.write("z\n");
    assert_eq!(first.finish(), (Some(0), "z\n".to_owned()));
    relay.end();
}

/// HAProxy, which tells whom it takes for its client.
const HAPROXY: &str = "cat >$FILE <<END
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
listen here
    bind unix@$SOCKET accept-proxy
    http-request return content-type text/plain lf-string '%[src] %[dst]'
END
exec haproxy -f $FILE -db";

#[test]
fn haproxy_is_told_of_the_client() {
    let folder = Folder::new();
    let (file, socket) = (folder.text("haproxy.cfg"), folder.text("socket"));
    let _haproxy = Script::start(HAPROXY, &[("FILE", &file), ("SOCKET", &socket)]);
    for version in ["v1", "v2"] {
        let relay = Server::relay(&format!(
            "tcp://127.0.0.1:0 unix://{socket} --send-proxy {version} --retry 20s"
        ));
        let ask = "curl -s --interface 127.0.0.9 http://127.0.0.1:$PORT/";
        shell(ask, &[("PORT", relay.port())]).prints("127.0.0.9 127.0.0.1");
    }
}

#[test]
fn an_http_proxy_is_gone_by() {
    let echo = Server::start("tcp://127.0.0.1:0 echo");
    let port = free_port();
    let start = "exec ncat -v -l 127.0.0.1 $PORT --keep-open --proxy-type http 2>&1";
    let mut proxy = Script::start(start, &[("PORT", &port)]);
    while !proxy.line().contains("Listening on") {}
    let via = format!("http://127.0.0.1:{port}");
    let variables = [("URL", echo.url()), ("VIA", &via)];
    // Its proxy ends both directions when one ends.
    let ask = "(printf hello; sleep 0.5) | $BIN connect $URL";
    shell(&format!("{ask} --via $VIA"), &variables).prints("hello");
    let relay = Server::relay(&format!("tcp://127.0.0.1:0 {} --via {via}", echo.url()));
    shell(ask, &[("URL", relay.url())]).prints("hello");
    let log = relay.end();
    assert!(
        log.contains(&format!("target={} up=5 down=5", echo.url())),
        "{log}"
    );
    let nowhere = [("URL", "tcp://127.0.0.1:1"), ("VIA", &via)];
    let refused = shell("$BIN connect $URL --via $VIA", &nowhere);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains(&format!("the proxy {via}: 5")),
        "{refused:?}"
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (words, sentence) in [
        (
            "tcp://127.0.0.1:0?read_timeout=1s tcp://127.0.0.1:1",
            "cannot relay tcp://127.0.0.1:0?read_timeout=1s: read_timeout is for one read or \
             write, and a relay waits for neither; use idle_timeout",
        ),
        (
            "tcp://127.0.0.1:0 tcp://127.0.0.1:1 --mode 0600",
            "--mode applies to unix, udg, and no URL given is such",
        ),
        (
            "tcp://127.0.0.1:0 udp://127.0.0.1:1 --send-proxy v1",
            "cannot parse udp://127.0.0.1:1: option send_proxy is v1, which is made for streams; \
             take v2",
        ),
        (
            "tcp://127.0.0.1:0 tcp://127.0.0.1:1 --idle-timeout 0s",
            "cannot parse tcp://127.0.0.1:0: option idle_timeout is 0s, so that nobody would be \
             served; take never for no limit",
        ),
        (
            "tcp://127.0.0.1:0 tcp://localhost:0",
            "tcp://localhost:0 is no target: nobody listens on port 0",
        ),
        (
            "tcp://127.0.0.1:0 fd://99",
            "fd://99 is no target: it is not open",
        ),
        (
            "tcp://127.0.0.1:0 fd://4 4</dev/null",
            "fd://4 is no target: it is no socket",
        ),
        (
            "unix://@relayed-to-itself unix://@relayed-to-itself",
            "unix://@relayed-to-itself leads back to unix://@relayed-to-itself: each connection \
             would bring about another",
        ),
    ] {
        let outcome = shell(&format!("$BIN relay {words}"), &[]);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert_eq!(outcome.err, format!("stream-socket: {sentence}"));
    }
}

/// HAProxy before us, on `$SOCKET`, with `$SEND` towards `$TARGET`.
const BEFORE: &str = "cat >$FILE <<END
defaults
    mode tcp
    timeout client 10s
    timeout server 10s
    timeout connect 10s
listen here
    bind 127.0.0.1:$PORT $BIND
    server target $TARGET $SEND
END
exec haproxy -f $FILE -db";

#[test]
fn haproxy_tells_us_of_the_client_and_we_pass_it_on() {
    let folder = Folder::new();
    let trust = "--proxy-protocol required --proxy-from 127.0.0.1,::1";
    let teller = folder.text("teller");
    let certificates = Certificates::shared();
    let (ca, client) = (certificates.file("ca.pem"), certificates.file("client.pem"));
    let bind = format!(
        "ssl crt {} ca-file {ca} verify required",
        certificates.file("localhost.pem")
    );
    // What the last in the chain is told of the client, and of its certificate.
    let last = folder.text("last.cfg");
    let tell = HAPROXY.replace("%[src] %[dst]", "%[src] %[fc_pp_authority]");
    let _last = Script::start(&tell, &[("FILE", &last), ("SOCKET", &teller)]);
    for (send, bind, ask) in [
        ("send-proxy", "", "curl -s http://127.0.0.1:$PORT/"),
        ("send-proxy-v2", "", "curl -s http://127.0.0.1:$PORT/"),
        (
            "send-proxy-v2-ssl-cn proxy-v2-options authority",
            &*bind,
            "curl -s --cacert $CA --cert $CLIENT --resolve localhost:$PORT:127.0.0.1 \
             https://localhost:$PORT/",
        ),
    ] {
        let relay = Server::relay(&format!(
            "tcp://127.0.0.1:0 unix://{teller} {trust} --send-proxy v2 --retry 20s"
        ));
        let (port, target) = (free_port(), format!("127.0.0.1:{}", relay.port()));
        let file = folder.text("before.cfg");
        let _before = Script::start(
            BEFORE,
            &[
                ("FILE", &file),
                ("PORT", &port),
                ("BIND", bind),
                ("SEND", send),
                ("TARGET", &target),
            ],
        );
        let variables = [("PORT", port.as_str()), ("CA", &ca), ("CLIENT", &client)];
        let ask = format!(
            "{} --retry 20 --retry-delay 1 --retry-connrefused --interface 127.0.0.9",
            ask
        );
        let name = if bind.is_empty() { "" } else { "localhost" };
        shell(&ask, &variables).prints(&format!("127.0.0.9 {name}"));
        let log = relay.end();
        assert!(log.contains("peer=tcp://127.0.0.9:"), "{log}");
    }
}

#[test]
fn a_server_behind_a_proxy_sees_the_client_and_refuses_others() {
    let trust = "--proxy-protocol required --proxy-from 127.0.0.1 --proxy-timeout 500ms";
    let mut server = Server::start(&format!("tcp://127.0.0.1:0 echo {trust}"));
    let variables = [("PORT", server.port().to_owned())];
    let variables = variables
        .each_ref()
        .map(|(name, port)| (*name, port.as_str()));
    let header = r"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
    let ask = format!("printf '{header}hello' | $BIN connect 127.0.0.1:$PORT");
    shell(&ask, &variables).prints("hello");
    let line = server.wait_for_log("closed");
    assert!(line.contains("peer=tcp://192.0.2.1:1"), "{line}");
    // The same from an address that is not trusted, and something else from one that is.
    let liar = format!("{ask} --bind 127.0.0.2 || true");
    shell(&liar, &variables).prints("");
    server.wait_for_log("it is in none of the networks of proxy_from");
    shell(
        "printf hello | $BIN connect 127.0.0.1:$PORT || true",
        &variables,
    )
    .prints("");
    server.wait_for_log("it begins with something else");
    shell("sleep 2 | $BIN connect 127.0.0.1:$PORT || true", &variables).prints("");
    server.wait_for_log("the header timed out after 500ms");
}

#[test]
fn a_target_is_told_of_the_client_s_tls() {
    use std::io::Read;

    let certificates = Certificates::shared();
    let target = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Server::relay(&format!(
        "tls://127.0.0.1:0?certificate={} tcp://{} --client-ca {} --alpn h2 --send-proxy v2",
        certificates.file("localhost.pem"),
        target.local_addr().unwrap(),
        certificates.file("ca.pem")
    ));
    let listening = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        target.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let (port, ca) = (relay.port(), certificates.file("ca.pem"));
    let own = certificates.file("client.pem");
    let ask = "$BIN connect tls://localhost:$PORT --ca $CA --certificate $OWN --alpn h2 </dev/null";
    shell(ask, &[("PORT", port), ("CA", &ca), ("OWN", &own)]).prints("");
    let bytes = listening.join().unwrap();
    let header = ppp::v2::Header::try_from(&*bytes).unwrap();
    let ppp::v2::Addresses::IPv4(addresses) = header.addresses else {
        panic!("{header:?}");
    };
    assert_eq!(addresses.source_address.to_string(), "127.0.0.1");
    assert_eq!(addresses.destination_port.to_string(), relay.port());
    let of_kind = |kind: u8| {
        let mut known = header.tlvs().map(Result::unwrap);
        known.find(|tlv| tlv.kind == kind).unwrap().value.to_vec()
    };
    // Sections 2.2.1, 2.2.2 and 2.2.6 of the protocol.
    assert_eq!(
        (of_kind(1), of_kind(2)),
        (b"h2".to_vec(), b"localhost".to_vec())
    );
    let start = b"\x07\0\0\0\0\x21\0\x07TLSv1.3\x22\0\x06client\x23\0";
    assert_eq!(of_kind(0x20)[..start.len()], start[..]);
    assert_eq!(header.len(), bytes.len());
}

//! What a TLS handshake costs, full and resumed, with keys of both kinds.

use crate::bench::ground::Ground;
use crate::bench::row::{Case, Contender, Measure, Probe, Row, Target, words};

pub(super) const ROW: Row = Row {
    name: "tls-handshake",
    what: "accept, a TLS 1.3 handshake, a line as reply, close",
    cases,
};

const ECDSA_FULL: &[Target] = &[at_least("haproxy", 2.0, 2.4), at_least("php", 8.0, 10.0)];
const ECDSA_RESUMED: &[Target] = &[at_least("haproxy", 1.8, 2.2)];
// A resumed handshake signs nothing, so that the kind of key hardly matters.
const RSA_RESUMED: &[Target] = ECDSA_RESUMED;
const RSA_FULL: &[Target] = &[at_least("haproxy", 1.2, 1.3), at_least("php", 4.0, 4.0)];

const fn at_least(against: &'static str, must: f64, aim: f64) -> Target {
    Target::AtLeast { against, must, aim }
}

/// It closes after the handshake: less than the others do. Its tickets are lost by that, so that to
/// resume sessions it has a server behind it.
const HAPROXY: &str = "\
cat > {folder}/haproxy.cfg <<END
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen tls
    bind 127.0.0.1:{port} ssl crt {certificate} backlog 4096
    {answer}
END
{behind}
exec haproxy -f {folder}/haproxy.cfg -db";

/// What answers behind those that only do TLS; its time counts as theirs.
const BEHIND: &str = "{ours} serve --quiet unix://{folder}/behind.sock daytime >/dev/null &";

const STUNNEL: &str = "\
cat > {folder}/stunnel.conf <<END
foreground = yes
syslog = no
debug = err
[tls]
accept = 127.0.0.1:{port}
connect = {folder}/behind.sock
cert = {certificate}
END
{behind}
exec stunnel {folder}/stunnel.conf";

fn cases(ground: &Ground) -> Vec<Case> {
    vec![
        case(ground, "ecdsa", "full", ECDSA_FULL),
        case(ground, "ecdsa", "resumed", ECDSA_RESUMED),
        case(ground, "rsa", "full", RSA_FULL),
        case(ground, "rsa", "resumed", RSA_RESUMED),
    ]
}

fn case(ground: &Ground, key: &str, kind: &str, targets: &'static [Target]) -> Case {
    let certificate = ground.certificate(key);
    let milliseconds = ground.milliseconds();
    let ours = [
        "tls://127.0.0.1:{port}",
        "--certificate",
        &certificate,
        "daytime",
    ];
    let haproxy = if kind == "full" {
        let answer = "tcp-request content reject";
        HAPROXY.replace("{answer}", answer).replace("{behind}", "")
    } else {
        HAPROXY.replace("{answer}", "server behind unix@{folder}/behind.sock")
    };
    let mut contenders = vec![
        ground.rustls("line", &certificate),
        ground.ours("--certificate", &ours),
        script(ground, "haproxy", &haproxy, &certificate),
    ];
    if key == "ecdsa" {
        contenders.push(script(ground, "stunnel", STUNNEL, &certificate));
    }
    if kind == "full" {
        contenders.push(ground.php("tls.php").told(&["line", &certificate]));
    } else {
        let reason = "its server resumes no session (tried)";
        contenders.push(Contender::absent("php", reason));
    }
    Case {
        name: format!("{key}, {kind}"),
        measure: Measure::Rate("handshakes"),
        reference: "rustls",
        load: words(&format!(
            "tls-handshakes --kind {kind} --milliseconds {milliseconds}"
        )),
        probe: Probe::Listens,
        is_sliced: false,
        contenders,
        targets,
    }
}

fn script(ground: &Ground, name: &'static str, script: &str, certificate: &str) -> Contender {
    let script = script
        .replace("{behind}", BEHIND)
        .replace("{folder}", &ground.made(""))
        .replace("{certificate}", certificate)
        .replace("{ours}", &ground.ours.to_string_lossy());
    Contender::new(name, &["sh", "-c", &script])
}

//! How much memory a TLS connection takes that says nothing.

use crate::bench::ground::{Ground, descriptor_limit};
use crate::bench::row::{Case, Contender, Measure, Probe, Row, Target, words};

pub(super) const ROW: Row = Row {
    name: "tls-idle",
    what: "memory of the server for a TLS connection that has had one round trip",
    cases,
};

const TARGETS: &[Target] = &[Target::AtMost {
    must: 8.0,
    aim: 4.0,
}];

const CONNECTIONS: usize = 2_000;
/// HAProxy has two for each connection.
const DESCRIPTORS_EACH: usize = 2;
const OTHER_DESCRIPTORS: usize = 200;

/// Towards a server that echoes, whose own part is 0.1 KB.
const HAPROXY: &str = "\
cat > {folder}/haproxy.cfg <<END
global
    maxconn 8000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
listen tls
    bind 127.0.0.1:{port} ssl crt {certificate} backlog 4096
    server echo unix@{folder}/echo.sock
END
{ours} serve --quiet unix://{folder}/echo.sock echo >/dev/null &
exec haproxy -f {folder}/haproxy.cfg -db";

fn cases(ground: &Ground) -> Vec<Case> {
    let limit = descriptor_limit().map_or(CONNECTIONS, |limit| {
        limit.saturating_sub(OTHER_DESCRIPTORS).max(1) / DESCRIPTORS_EACH
    });
    let connections = CONNECTIONS.min(limit);
    let certificate = ground.certificate("ecdsa");
    let ours = [
        "tls://127.0.0.1:{port}",
        "--certificate",
        &certificate,
        "echo",
    ];
    let haproxy = HAPROXY
        .replace("{folder}", &ground.made(""))
        .replace("{certificate}", &certificate)
        .replace("{ours}", &ground.ours.to_string_lossy());
    vec![Case {
        name: format!("{connections} connections"),
        measure: Measure::Memory("connection"),
        reference: "haproxy",
        load: words(&format!("tls-idle --connections {connections}")),
        probe: Probe::Listens,
        is_sliced: false,
        contenders: vec![
            Contender::new("haproxy", &["sh", "-c", &haproxy]),
            ground.ours("--certificate", &ours),
        ],
        targets: TARGETS,
    }]
}

//! What it costs to send much over TLS.

use crate::bench::ground::Ground;
use crate::bench::row::{Case, Measure, Probe, Row, Target, words};

pub(super) const ROW: Row = Row {
    name: "tls-send",
    what: "bytes without end to one client, over TLS 1.3 with AES-256",
    cases,
};

const TARGETS: &[Target] = &[Target::AtLeast {
    against: "php",
    must: 1.6,
    aim: 2.0,
}];

fn cases(ground: &Ground) -> Vec<Case> {
    let certificate = ground.certificate("ecdsa");
    let ours = [
        "tls://127.0.0.1:{port}",
        "--certificate",
        &certificate,
        "chargen",
    ];
    vec![Case {
        name: "one client".into(),
        measure: Measure::Rate("MiB"),
        reference: "rustls",
        load: words(&format!(
            "tls-receive --milliseconds {}",
            ground.milliseconds()
        )),
        probe: Probe::Listens,
        is_sliced: false,
        contenders: vec![
            ground.rustls("send", &certificate),
            ground.ours("--certificate", &ours),
            ground.php("tls.php").told(&["send", &certificate]),
        ],
        targets: TARGETS,
    }]
}

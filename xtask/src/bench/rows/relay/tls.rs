//! What TLS costs a relay whose target has none: handshakes, and a megabyte each way.

use super::peers;
use crate::bench::ground::Ground;
use crate::bench::row::{Case, Measure, Probe, Row, Target, words};

pub(in crate::bench::rows) const ROW: Row = Row {
    name: "relay-tls",
    what: "TLS to TCP: handshakes with a message each way, and bytes one way, MTU 1500",
    cases,
};

/// HAProxy as it is. The one with larger buffers takes part to be seen.
const TARGETS: &[Target] = &[Target::AtLeast {
    against: "haproxy",
    must: 1.5,
    aim: 1.8,
}];

fn cases(ground: &Ground) -> Vec<Case> {
    [
        ("handshakes", "handshakes", "relay-tls-connections"),
        ("bytes up, decrypted", "MB", "relay-tls-bulk --direction up"),
        (
            "bytes down, encrypted",
            "MB",
            "relay-tls-bulk --direction down",
        ),
    ]
    .map(|(name, unit, load)| case(ground, name, unit, load))
    .into()
}

fn case(ground: &Ground, name: &str, unit: &'static str, load: &str) -> Case {
    let milliseconds = ground.slice_milliseconds();
    Case {
        name: name.into(),
        measure: Measure::Rate(unit),
        reference: "haproxy",
        load: words(&format!("{load} --milliseconds {milliseconds}")),
        probe: Probe::Relay,
        is_sliced: true,
        contenders: peers::before_tcp(ground),
        targets: TARGETS,
    }
}

//! How much memory a relay takes for a connection that says nothing.

use super::peers;
use crate::bench::ground::Ground;
use crate::bench::row::{Case, DIRECT, Measure, Probe, Row, Target, words};

pub(in crate::bench::rows) const ROW: Row = Row {
    name: "relay-idle",
    what: "memory of a relay for a connection that has had one round trip",
    cases,
};

const TARGETS: &[Target] = &[Target::AtMost {
    must: 0.5,
    aim: 0.2,
}];

const PAIRS: usize = 4_000;

fn cases(ground: &Ground) -> Vec<Case> {
    let mut contenders = peers::loops(ground);
    contenders.retain(|contender| contender.name != DIRECT);
    vec![Case {
        name: format!("{PAIRS} pairs"),
        measure: Measure::Memory("pair"),
        reference: "haproxy",
        load: words(&format!("relay-idle --connections {PAIRS}")),
        probe: Probe::Relay,
        is_sliced: false,
        contenders,
        targets: TARGETS,
    }]
}

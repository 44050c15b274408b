//! What a connection costs a relay that carries a message each way.

use super::peers::{self, LOOPS};
use crate::bench::ground::Ground;
use crate::bench::row::{Case, Measure, Probe, Row, Target, words};

pub(in crate::bench::rows) const ROW: Row = Row {
    name: "relay-connections",
    what: "connections through a relay, 64 bytes each way and closed",
    cases,
};

const TARGETS: &[Target] = &[Target::BestOf {
    of: LOOPS,
    must: 1.05,
    aim: 1.15,
}];

fn cases(ground: &Ground) -> Vec<Case> {
    let milliseconds = ground.slice_milliseconds();
    let mut contenders = peers::loops(ground);
    contenders.push(peers::socat());
    vec![Case {
        name: "64 at a time".into(),
        measure: Measure::Rate("connections"),
        reference: "haproxy",
        load: words(&format!(
            "relay-connections --connections 64 --size 64 --milliseconds {milliseconds}"
        )),
        probe: Probe::Relay,
        is_sliced: true,
        contenders,
        targets: TARGETS,
    }]
}

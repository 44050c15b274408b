//! What a megabyte costs that is passed on.

use super::peers::{self, HAPROXY, NGINX};
use crate::bench::ground::Ground;
use crate::bench::row::{Case, Measure, Probe, Row, Target, words};

pub(in crate::bench::rows) const ROW: Row = Row {
    name: "relay-bulk",
    what: "bytes one way through a relay, MTU 1500",
    cases,
};

const ONE: &[Target] = &[Target::BestOf {
    of: HAPROXY,
    must: 1.6,
    aim: 2.1,
}];
/// HAProxy as it is; the best of nginx with buffers of its own choice and large ones.
const MANY: &[Target] = &[
    Target::AtLeast {
        against: "haproxy",
        must: 3.5,
        aim: 5.5,
    },
    Target::BestOf {
        of: NGINX,
        must: 2.0,
        aim: 4.0,
    },
];

fn cases(ground: &Ground) -> Vec<Case> {
    [("1 stream", 1, ONE), ("64 streams", 64, MANY)]
        .map(|(name, streams, targets)| case(ground, name, streams, targets))
        .into()
}

fn case(ground: &Ground, name: &str, streams: usize, targets: &'static [Target]) -> Case {
    let milliseconds = ground.slice_milliseconds();
    let mut contenders = peers::loops(ground);
    contenders.push(peers::socat());
    Case {
        name: name.into(),
        measure: Measure::Rate("MB"),
        reference: "haproxy",
        load: words(&format!(
            "relay-bulk --connections {streams} --milliseconds {milliseconds}"
        )),
        probe: Probe::Relay,
        is_sliced: true,
        contenders,
        targets,
    }
}

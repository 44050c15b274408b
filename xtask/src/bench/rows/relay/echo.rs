//! What a round trip of a small message costs a relay, on few and on many connections.

use super::peers::{self, LOOPS};
use crate::bench::ground::Ground;
use crate::bench::row::{Case, Measure, Probe, Row, Target, words};

pub(in crate::bench::rows) const ROW: Row = Row {
    name: "relay-echo",
    what: "round trips of 64 bytes through a relay, all connections with one under way",
    cases,
};

const TARGETS: &[Target] = &[Target::BestOf {
    of: LOOPS,
    must: 1.0,
    aim: 1.1,
}];

/// A process for each connection is no way to serve more.
const MOST_FOR_SOCAT: usize = 64;

fn cases(ground: &Ground) -> Vec<Case> {
    [64, 1000]
        .map(|connections| case(ground, connections))
        .into()
}

fn case(ground: &Ground, connections: usize) -> Case {
    let milliseconds = ground.slice_milliseconds();
    let mut contenders = peers::loops(ground);
    if connections <= MOST_FOR_SOCAT {
        contenders.push(peers::socat());
    }
    Case {
        name: format!("{connections} connections"),
        measure: Measure::Rate("round trips"),
        reference: "haproxy",
        load: words(&format!(
            "relay-echo --connections {connections} --size 64 --milliseconds {milliseconds}"
        )),
        probe: Probe::Relay,
        is_sliced: true,
        contenders,
        targets: TARGETS,
    }
}

//! How much memory a connection takes that says nothing.

use crate::bench::ground::{Ground, descriptor_limit};
use crate::bench::row::{Case, Measure, Probe, Row, Target, words};

pub(super) const ROW: Row = Row {
    name: "idle",
    what: "memory of the server for a connection that has had one round trip",
    cases,
};

const TARGETS: &[Target] = &[Target::AtMost {
    must: 0.5,
    aim: 0.1,
}];

const CONNECTIONS: usize = 10_000;
/// What server and load have open besides.
const OTHER_DESCRIPTORS: usize = 200;

fn cases(ground: &Ground) -> Vec<Case> {
    let limit = descriptor_limit().map_or(CONNECTIONS, |limit| {
        limit.saturating_sub(OTHER_DESCRIPTORS).max(1)
    });
    let connections = CONNECTIONS.min(limit);
    vec![Case {
        name: format!("{connections} connections"),
        measure: Measure::Memory("connection"),
        reference: "c-floor",
        load: words(&format!("idle --connections {connections}")),
        probe: Probe::Echo,
        is_sliced: false,
        contenders: vec![
            ground.floor("c-floor", &["echo", "{port}"]),
            ground.ours("echo", &["tcp://127.0.0.1:{port}", "echo"]),
            ground.tokio("tokio", "echo"),
            ground.tokio("tokio-lazy", "echo-lazy"),
        ],
        targets: TARGETS,
    }]
}

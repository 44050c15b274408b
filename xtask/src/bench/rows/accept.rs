//! What a connection costs that is told a line and closed.

use crate::bench::ground::Ground;
use crate::bench::row::{Case, Measure, Probe, Row, Target, words};

pub(super) const ROW: Row = Row {
    name: "accept",
    what: "accept, a line as reply, close",
    cases,
};

const TARGETS: &[Target] = &[Target::AtLeast {
    against: "c-floor",
    must: 0.90,
    aim: 0.97,
}];

fn cases(ground: &Ground) -> Vec<Case> {
    let milliseconds = ground.milliseconds();
    vec![Case {
        name: "64 connections at a time".into(),
        measure: Measure::Rate("connections"),
        reference: "c-floor",
        load: words(&format!(
            "lines --connections 64 --milliseconds {milliseconds}"
        )),
        probe: Probe::Line,
        contenders: vec![
            ground.floor("c-floor", &["accept", "{port}"]),
            ground.ours("daytime", &["tcp://127.0.0.1:{port}", "daytime"]),
            ground.php("accept.php"),
            ground.tokio("tokio", "accept"),
        ],
        targets: TARGETS,
    }]
}

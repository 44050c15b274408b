//! What a connection costs that is told a line and closed.

use crate::bench::ground::{Ground, burst};
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
    let milliseconds = ground.slice_milliseconds();
    let burst = burst();
    let load = format!("bursts --connections {burst} --milliseconds {milliseconds}");
    let steady = format!("lines --connections 64 --milliseconds {milliseconds}");
    vec![
        case(
            ground,
            format!("{burst} connections in the queue"),
            &load,
            TARGETS,
        ),
        // Here servers sleep and are woken for half of their time: a look at that, not a measure.
        case(ground, "64 connections at a time".into(), &steady, &[]),
    ]
}

fn case(ground: &Ground, name: String, load: &str, targets: &'static [Target]) -> Case {
    Case {
        name,
        measure: Measure::Rate("connections"),
        reference: "c-floor",
        load: words(load),
        probe: Probe::Line,
        is_sliced: true,
        contenders: vec![
            ground.floor("c-floor", &["accept", "{port}"]),
            // As ours, with the line and the end in one segment.
            ground.floor("c-last", &["accept", "{port}", "last"]),
            ground.ours("daytime", &["tcp://127.0.0.1:{port}", "daytime"]),
            ground.php("accept.php"),
            ground.tokio("tokio", "accept"),
        ],
        targets,
    }
}

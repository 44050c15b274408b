//! What the extension costs in PHP's own loop, beside what it replaces.

use crate::bench::ground::{Ground, burst};
use crate::bench::row::{Case, Measure, Probe, Row, Target, words};

pub(super) const ROW: Row = Row {
    name: "php",
    what: "the same script on PHP with the extension and without",
    cases,
};

const TARGETS: &[Target] = &[Target::AtLeast {
    against: "php",
    must: 1.0,
    aim: 1.1,
}];

fn cases(ground: &Ground) -> Vec<Case> {
    let milliseconds = ground.slice_milliseconds();
    let burst = burst();
    let lines = format!("lines --connections 64 --milliseconds {milliseconds}");
    let bursts = format!("bursts --connections {burst} --milliseconds {milliseconds}");
    let echo = format!("echo --connections 1 --size 64 --milliseconds {milliseconds}");
    vec![
        accept(ground, "64 connections at a time".into(), &lines),
        accept(ground, format!("{burst} connections in the queue"), &bursts),
        Case {
            name: "read, write".into(),
            measure: Measure::Rate("round trips"),
            reference: "php",
            load: words(&echo),
            probe: Probe::Echo,
            is_sliced: true,
            contenders: vec![ground.extension("echo.php"), ground.php("echo.php")],
            targets: TARGETS,
        },
    ]
}

fn accept(ground: &Ground, when: String, load: &str) -> Case {
    Case {
        name: format!("accept, write, close, {when}"),
        measure: Measure::Rate("connections"),
        reference: "php",
        load: words(load),
        probe: Probe::Line,
        is_sliced: true,
        contenders: vec![ground.extension("accept.php"), ground.php("accept.php")],
        targets: TARGETS,
    }
}

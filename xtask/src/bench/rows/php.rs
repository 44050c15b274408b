//! What the extension costs in PHP's own loop, beside what it replaces.

use crate::bench::ground::Ground;
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
    let milliseconds = ground.milliseconds();
    let lines = format!("lines --connections 64 --milliseconds {milliseconds}");
    let echo = format!("echo --connections 1 --size 64 --milliseconds {milliseconds}");
    vec![
        Case {
            name: "accept, write, close".into(),
            measure: Measure::Rate("connections"),
            reference: "php",
            load: words(&lines),
            probe: Probe::Line,
            contenders: vec![ground.extension("accept.php"), ground.php("accept.php")],
            targets: TARGETS,
        },
        Case {
            name: "read, write".into(),
            measure: Measure::Rate("round trips"),
            reference: "php",
            load: words(&echo),
            probe: Probe::Echo,
            contenders: vec![ground.extension("echo.php"), ground.php("echo.php")],
            targets: TARGETS,
        },
    ]
}

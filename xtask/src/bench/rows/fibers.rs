//! What a Fiber for each connection costs, beside other ways to serve many by PHP.

use crate::bench::ground::Ground;
use crate::bench::row::{Case, Measure, Probe, Row, Target, words};

pub(super) const ROW: Row = Row {
    name: "fibers",
    what: "round trips of lines by fgets and fwrite, one script for any number of connections",
    cases,
};

const ROUND_TRIPS: &[Target] = &[Target::AtLeast {
    against: "c-floor",
    must: 0.70,
    aim: 0.85,
}];

const MEMORY: &[Target] = &[Target::AtMost {
    must: 14.0,
    aim: 10.0,
}];

/// select(2) knows no descriptor beyond 1,023.
const MOST_FOR_SELECT: usize = 1000;
/// A process of PHP for each connection is no way to serve more.
const MOST_FOR_FORK: usize = 100;

/// What a stack of a Fiber is for a handler that does not recurse.
const STACK: &[&str] = &["fiber.stack_size=128K"];

fn cases(ground: &Ground) -> Vec<Case> {
    let rounds = [1, 100, 1000, 5000].map(|connections| round_trips(ground, connections));
    let memory = [100, 5000].map(|connections| memory(ground, connections));
    rounds.into_iter().chain(memory).collect()
}

fn case(ground: &Ground, connections: usize) -> Case {
    let mut contenders = vec![
        ground.floor("c-floor", &["echo", "{port}"]),
        ground.extension_with(STACK, "fibers.php"),
    ];
    if connections <= MOST_FOR_SELECT {
        contenders.push(ground.php_as("php-select", "select.php"));
        contenders.push(ground.react("react", false));
    }
    contenders.push(ground.react("react-on-ours", true));
    if connections <= MOST_FOR_FORK {
        contenders.push(ground.php_as("php-fork", "fork.php"));
    }
    Case {
        name: match connections {
            1 => "1 connection".into(),
            many => format!("{many} connections"),
        },
        measure: Measure::Rate("round trips"),
        reference: "c-floor",
        load: Vec::new(),
        probe: Probe::Echo,
        is_sliced: false,
        contenders,
        targets: &[],
    }
}

fn round_trips(ground: &Ground, connections: usize) -> Case {
    let milliseconds = ground.slice_milliseconds();
    Case {
        load: words(&format!(
            "echo --connections {connections} --size 64 --milliseconds {milliseconds}"
        )),
        is_sliced: true,
        targets: if connections < 1000 { &[] } else { ROUND_TRIPS },
        ..case(ground, connections)
    }
}

fn memory(ground: &Ground, connections: usize) -> Case {
    Case {
        name: format!("{connections} connections that wait"),
        measure: Measure::Memory("connection"),
        load: words(&format!("idle --connections {connections}")),
        targets: if connections < 1000 { &[] } else { MEMORY },
        ..case(ground, connections)
    }
}

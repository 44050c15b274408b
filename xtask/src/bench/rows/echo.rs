//! What a round trip of a small message costs, on few and on many connections.

use crate::bench::ground::Ground;
use crate::bench::row::{Case, Contender, Measure, Probe, Row, Target, words};

pub(super) const ROW: Row = Row {
    name: "echo",
    what: "round trips of 64 bytes, all connections with one under way",
    cases,
};

const TARGETS: &[Target] = &[Target::AtLeast {
    against: "c-floor",
    must: 0.90,
    aim: 0.97,
}];

/// A process for each connection is no way to serve more.
const MOST_FOR_SOCAT: usize = 64;
/// Its queue of connections is too short for more than a few.
const MOST_FOR_NCAT: usize = 1;

fn cases(ground: &Ground) -> Vec<Case> {
    [1, 64, 1000]
        .map(|connections| case(ground, connections))
        .into()
}

fn case(ground: &Ground, connections: usize) -> Case {
    let milliseconds = ground.milliseconds();
    let mut contenders = vec![
        ground.floor("c-floor", &["echo", "{port}"]),
        ground.ours("echo", &["tcp://127.0.0.1:{port}", "echo"]),
        ground.tokio("tokio", "echo"),
    ];
    if connections <= MOST_FOR_SOCAT {
        let listen = "TCP4-LISTEN:{port},bind=127.0.0.1,reuseaddr,backlog=4096,fork";
        contenders.push(Contender::new("socat", &["socat", listen, "PIPE"]));
    }
    if connections <= MOST_FOR_NCAT {
        let words = ["ncat", "-l", "127.0.0.1", "{port}", "-k", "-e", "/bin/cat"];
        contenders.push(Contender::new("ncat", &words));
    }
    Case {
        name: match connections {
            1 => "1 connection".into(),
            many => format!("{many} connections"),
        },
        measure: Measure::Rate("round trips"),
        reference: "c-floor",
        load: words(&format!(
            "echo --connections {connections} --size 64 --milliseconds {milliseconds}"
        )),
        probe: Probe::Echo,
        is_sliced: false,
        contenders,
        // With one, what is measured is the kernel going to sleep and being woken.
        targets: if connections == 1 { &[] } else { TARGETS },
    }
}

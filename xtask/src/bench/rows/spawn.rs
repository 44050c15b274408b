//! What a connection costs that is given a program of its own.

use crate::bench::ground::Ground;
use crate::bench::row::{Case, Contender, Measure, Probe, Row, Target, words};

pub(super) const ROW: Row = Row {
    name: "spawn",
    what: "a program for each connection, which says a line and ends",
    cases,
};

const TARGETS: &[Target] = &[
    Target::AtLeast {
        against: "tcpserver",
        must: 1.0,
        aim: 1.08,
    },
    Target::AtLeast {
        against: "socat",
        must: 1.7,
        aim: 1.95,
    },
];

fn cases(ground: &Ground) -> Vec<Case> {
    ["static", "dynamic"].map(|kind| case(ground, kind)).into()
}

fn case(ground: &Ground, kind: &str) -> Case {
    let program = ground.made(&format!("hello-{kind}"));
    let milliseconds = ground.milliseconds();
    Case {
        name: format!("a {kind} program"),
        measure: Measure::Rate("connections"),
        reference: "tcpserver",
        // No more than the ten that ncat lets wait; the server's core is busy with two already.
        load: words(&format!(
            "lines --connections 8 --milliseconds {milliseconds}"
        )),
        probe: Probe::Line,
        is_sliced: false,
        contenders: vec![
            tcpserver(&program),
            ground.ours("CMD", &["tcp://127.0.0.1:{port}", "--", &program]),
            socat("socat", &format!("EXEC:{program}")),
            socat("socat-nofork", &format!("EXEC:{program},nofork")),
            Contender::new(
                "ncat",
                &["ncat", "-l", "127.0.0.1", "{port}", "-k", "-e", &program],
            ),
        ],
        targets: TARGETS,
    }
}

/// Without lookups of names, and with room for as many at once as the load has.
fn tcpserver(program: &str) -> Contender {
    let mut words: Vec<&str> = "tcpserver -q -H -R -l 0 -b 4096 -c 256 127.0.0.1 {port}"
        .split_whitespace()
        .collect();
    words.push(program);
    Contender::new("tcpserver", &words)
}

fn socat(name: &'static str, target: &str) -> Contender {
    let listen = "TCP4-LISTEN:{port},bind=127.0.0.1,reuseaddr,backlog=4096,fork";
    Contender::new(name, &["socat", listen, target])
}

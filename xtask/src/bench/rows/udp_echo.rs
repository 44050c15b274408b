//! What a datagram costs that comes back, small and near the MTU, alone and as GSO's peer sends it.

use crate::bench::ground::Ground;
use crate::bench::row::{Case, Contender, Measure, Probe, Row, Target, words};

pub(super) const ROW: Row = Row {
    name: "udp-echo",
    what: "datagrams that come back, with a window that no queue overflows of",
    cases,
};

const ALONE: &[Target] = &[Target::AtLeast {
    against: "php",
    must: 1.3,
    aim: 1.5,
}];
const JOINED: &[Target] = &[Target::AtLeast {
    against: "php",
    must: 1.5,
    aim: 5.0,
}];

/// The datagrams of one case. All windows together fit a receive buffer of Linux's default size,
/// 212,992 bytes, a quarter of which may be in use although it was read (`udp_rmem_release` of the
/// kernel). There a small datagram takes 768 bytes or 832, and one of 1,200 takes 2,304.
struct Datagrams {
    size: usize,
    sockets: usize,
    window: usize,
    segments: &'static str,
}

fn cases(ground: &Ground) -> Vec<Case> {
    let datagrams = |size, sockets, window, segments| Datagrams {
        size,
        sockets,
        window,
        segments,
    };
    [
        datagrams(64, 8, 16, "alone"),
        datagrams(1200, 4, 12, "alone"),
        datagrams(64, 2, 64, "joined"),
        datagrams(1200, 2, 24, "joined"),
    ]
    .map(|datagrams| case(ground, &datagrams))
    .into()
}

fn case(ground: &Ground, datagrams: &Datagrams) -> Case {
    let Datagrams {
        size,
        sockets,
        window,
        segments,
    } = datagrams;
    let is_joined = *segments == "joined";
    let milliseconds = ground.milliseconds();
    let mut contenders = vec![
        ground.floor("c-floor", &["udp_echo", "single", "{port}"]),
        ground.ours("udp", &["udp://127.0.0.1:{port}", "echo"]),
        ground.php("udp_echo.php"),
    ];
    if is_joined {
        contenders.push(ground.floor("c-gso", &["udp_echo", "gso", "{port}"]));
    } else {
        contenders.push(ground.floor("c-batch", &["udp_echo", "batch", "{port}"]));
        contenders.push(Contender::absent(
            "socat",
            "its pipe joins the datagrams that wait (tried: two came back as one)",
        ));
    }
    let manner = if is_joined { ", sent by GSO" } else { "" };
    Case {
        name: format!("{size} bytes{manner}"),
        measure: Measure::Rate("datagrams"),
        reference: "php",
        load: words(&format!(
            "udp-echo --size {size} --sockets {sockets} --window {window} \
             --segments {segments} --milliseconds {milliseconds}"
        )),
        probe: Probe::Datagram,
        is_sliced: false,
        contenders,
        targets: if is_joined { JOINED } else { ALONE },
    }
}

//! What a call of `stream_select` costs on many connections of which few are ready.

use crate::bench::ground::{Ground, descriptor_limit};
use crate::bench::row::{Case, Measure, Probe, Row, Target, words};

pub(super) const ROW: Row = Row {
    name: "php-select",
    what: "calls of stream_select with the same array, 10 of whose streams are readable",
    cases,
};

const READY: usize = 10;
/// select(2) knows no descriptor beyond 1,023.
const FEW: usize = 1000;
const MANY: usize = 15_000;
/// How the array is keyed: `bench/php/select_calls.php` knows these words.
const LIST: &str = "list";
const NAMES: &str = "names";
/// What server and load have open besides.
const OTHER_DESCRIPTORS: usize = 200;

const BESIDE_STOCK: &[Target] = &[Target::AtLeast {
    against: "php",
    must: 5.0,
    aim: 10.0,
}];

/// Within 2 and 1.3 times what a call on few costs.
const BESIDE_FEW: &[Target] = &[Target::AtLeast {
    against: "ours-few",
    must: 0.5,
    aim: 0.77,
}];

fn cases(ground: &Ground) -> Vec<Case> {
    let limit = descriptor_limit().map_or(MANY, |limit| {
        limit.saturating_sub(OTHER_DESCRIPTORS).max(FEW)
    });
    let (few, many) = (FEW.to_string(), MANY.min(limit).to_string());
    let ours = |members: &str, by| ground.extension("select_calls.php").told(&[members, by]);
    let stock = ground.php("select_calls.php").told(&[&few, LIST]);
    let case = |members: &str, by: &str, reference, contenders, targets| Case {
        name: format!("{READY} of {members} ready, {by}"),
        measure: Measure::Rate("calls"),
        reference,
        load: words(&format!(
            "selects --ready {READY} --milliseconds {}",
            ground.milliseconds()
        )),
        probe: Probe::Listens,
        is_sliced: false,
        contenders,
        targets,
    };
    let beside_few = |by| {
        let contenders = vec![ours(&many, by), ours(&few, by).named("ours-few")];
        case(&many, by, "ours-few", contenders, BESIDE_FEW)
    };
    vec![
        case(
            &few,
            LIST,
            "php",
            vec![ours(&few, LIST), stock],
            BESIDE_STOCK,
        ),
        beside_few(LIST),
        beside_few(NAMES),
    ]
}

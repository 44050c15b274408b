//! The rows, in the order in which they run.

mod accept;
mod echo;
mod fibers;
mod idle;
mod php;
mod php_select;
mod relay;
mod spawn;
mod tls_handshake;
mod tls_idle;
mod tls_send;
mod udp_echo;

use super::row::Row;

pub(super) const ROWS: &[&Row] = &[
    &accept::ROW,
    &echo::ROW,
    &udp_echo::ROW,
    &spawn::ROW,
    &idle::ROW,
    &tls_handshake::ROW,
    &tls_send::ROW,
    &tls_idle::ROW,
    &php::ROW,
    &php_select::ROW,
    &fibers::ROW,
    &relay::bulk::ROW,
    &relay::echo::ROW,
    &relay::connections::ROW,
    &relay::idle::ROW,
    &relay::tls::ROW,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::bench::ground::tests::ground;
    use crate::bench::ground::{FULL, QUICK, SLICES};
    use crate::bench::row::{Case, DIRECT, OURS, PORT, Target};

    fn cases() -> Vec<Case> {
        let ground = ground(Some("tcp udp daytime echo CMD --certificate"));
        ROWS.iter().flat_map(|row| (row.cases)(&ground)).collect()
    }

    #[test]
    fn every_case_measures_ours_and_has_its_reference_take_part() {
        for case in cases() {
            let names: Vec<&str> = case.contenders.iter().map(|one| one.name).collect();
            let distinct: BTreeSet<&str> = names.iter().copied().collect();
            assert_eq!(distinct.len(), names.len(), "{}: {names:?}", case.name);
            assert!(names.contains(&OURS), "{}: {names:?}", case.name);
            assert!(names.contains(&case.reference), "{}: {names:?}", case.name);
            for target in case.targets {
                let others: &[&str] = match target {
                    Target::AtLeast { against, .. } => &[against],
                    Target::BestOf { of, .. } => of,
                    Target::AtMost { .. } => &[],
                };
                for other in others {
                    assert!(names.contains(other), "{}: {other}", case.name);
                }
            }
        }
    }

    #[test]
    fn every_server_is_told_its_port() {
        for case in cases() {
            for contender in &case.contenders {
                if let Ok(command) = &contender.command {
                    let line = command.join(" ") + &contender.configuration;
                    let is_told = line.contains(PORT) || contender.name == DIRECT;
                    assert!(is_told, "{}: {line}", case.name);
                }
            }
        }
    }

    #[test]
    fn an_aim_is_beyond_its_must() {
        for case in cases() {
            for target in case.targets {
                match *target {
                    Target::AtLeast { must, aim, .. } | Target::BestOf { must, aim, .. } => {
                        assert!(aim >= must, "{}", case.name)
                    }
                    Target::AtMost { must, aim } => assert!(aim <= must, "{}", case.name),
                }
            }
        }
    }

    /// What a sample takes beside its span: to start and end (seen).
    const BESIDES: Duration = Duration::from_millis(370);
    /// What it takes to see that a server has settled.
    const LOOKS: Duration = Duration::from_millis(20);

    #[test]
    fn the_forms_take_as_long_as_the_help_says() {
        let mut ground = ground(Some("tcp udp daytime echo CMD --certificate"));
        ground.tokio = Ok("/target/tokio".into());
        // "Some ten minutes" and "more than an hour".
        for (form, minutes) in [(QUICK, 11), (FULL, 100)] {
            let of_one = |case: Case| {
                let tried = case.contenders.iter().filter(|one| one.command.is_ok());
                let looks = if case.is_sliced { SLICES as u32 } else { 1 };
                let samples = (tried.count() * form.runs) as u32;
                samples * (form.span + BESIDES + looks * LOOKS)
            };
            let cases = ROWS.iter().flat_map(|row| (row.cases)(&ground));
            let span: Duration = cases.map(of_one).sum();
            let limit = Duration::from_secs(60 * minutes);
            assert!(span <= limit, "{}: {span:?}", form.name);
        }
    }
}

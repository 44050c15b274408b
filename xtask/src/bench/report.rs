//! What a person reads, and what is written down.

use std::fmt::Write as _;

use super::json::Json;
use super::measure::{Outcome, Sample, Trouble};
use super::row::{Case, Measure, OURS, Target};
use super::statistics::{Summary, ratios};

/// Above this a core counts as busy all the time.
const SATURATED: f64 = 0.95;

/// A case that was measured.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) row: &'static str,
    pub(super) case: Case,
    pub(super) outcomes: Vec<Outcome>,
}

/// Whether a target is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    Aim,
    Must,
    Missed,
}

impl Verdict {
    fn of(reached: impl Fn(f64) -> bool, must: f64, aim: f64) -> Self {
        if reached(aim) {
            Verdict::Aim
        } else if reached(must) {
            Verdict::Must
        } else {
            Verdict::Missed
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Verdict::Aim => "the aim is reached",
            Verdict::Must => "the must is reached, the aim missed",
            Verdict::Missed => "MISSED",
        }
    }
}

impl Measured {
    /// Whether ours was measured, or is only not in this build.
    pub(super) fn has_ours_failed(&self) -> bool {
        let ours = self.outcome(OURS);
        ours.is_some_and(|ours| matches!(ours.trouble, Some(Trouble::Failed(_))))
    }

    fn outcome(&self, name: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.name == name)
    }

    /// What one contender does as a multiple of what another does.
    fn ratio(&self, name: &str, reference: &str) -> Option<Summary> {
        let figures = |name| Some(self.outcome(name)?.figures(self.case.measure));
        ratios(&figures(name)?, &figures(reference)?)
    }

    fn wall_ratio(&self, name: &str) -> Option<Summary> {
        let walls = |name| Some(self.outcome(name)?.walls());
        ratios(&walls(name)?, &walls(self.case.reference)?)
    }

    /// The table of one case, and the targets under it.
    pub(super) fn table(&self) -> String {
        let unit = match self.case.measure {
            Measure::Rate(unit) => format!("{unit} per CPU second"),
            Measure::Memory(unit) => format!("KB per {unit}"),
        };
        let mut text = format!(
            "\n{}, {}: {unit}\n  {:<15} {:>11} {:>7}  {:<20} {:>9} {:>6}  {:<9}",
            self.row,
            self.case.name,
            "",
            "median",
            "spread",
            format!("against {}", self.case.reference),
            "per s",
            "ratio",
            "server/load busy",
        );
        for outcome in &self.outcomes {
            // Writing to a string can't fail.
            let _ = write!(text, "\n  {:<15} {}", outcome.name, self.line(outcome));
        }
        for target in self.case.targets {
            if let Some(line) = self.target_line(target) {
                let _ = write!(text, "\n  target: {line}");
            }
        }
        text
    }

    fn line(&self, outcome: &Outcome) -> String {
        match &outcome.trouble {
            Some(Trouble::Absent(reason)) => return format!("- {reason}"),
            Some(Trouble::Failed(reason)) => return format!("FAILED: {reason}"),
            None => {}
        }
        let figures = Summary::of(&outcome.figures(self.case.measure));
        let median = figures.map_or("-".into(), |figures| figure(figures.median));
        let spread = figures.map_or("-".into(), |figures| format!("{:.0}", figures.spread()));
        let ratio = match (
            self.case.measure,
            self.ratio(outcome.name, self.case.reference),
        ) {
            (Measure::Rate(_), Some(Summary { median, low, high })) => {
                format!("{median:.2} ({low:.2} to {high:.2})")
            }
            _ => "-".into(),
        };
        let wall = Summary::of(&outcome.walls()).map_or(0.0, |wall| wall.median);
        let wall_ratio = self
            .wall_ratio(outcome.name)
            .map_or("-".into(), |ratio| format!("{:.2}", ratio.median));
        format!(
            "{median:>11} {spread:>5} %  {ratio:<20} {:>9} {wall_ratio:>6}  {}",
            figure(wall),
            busy(&outcome.samples),
        )
    }

    fn target_line(&self, target: &Target) -> Option<String> {
        let (verdict, value) = self.judge(target)?;
        let verdict = verdict.sentence();
        Some(match target {
            Target::AtLeast { against, must, aim } => {
                format!("ours is {value:.2} of {against}; must {must:.2}, aim {aim:.2}: {verdict}")
            }
            Target::BestOf { of, must, aim } => {
                let (best, _) = self.best(of)?;
                format!("ours is {value:.2} of {best}; must {must:.2}, aim {aim:.2}: {verdict}")
            }
            Target::AtMost { must, aim } => {
                format!("ours is {value:.2} KB; must {must:.2}, aim {aim:.2}: {verdict}")
            }
        })
    }

    fn judge(&self, target: &Target) -> Option<(Verdict, f64)> {
        match *target {
            Target::AtLeast { against, must, aim } => {
                let value = self.ratio(OURS, against)?.median;
                Some((Verdict::of(|limit| value >= limit, must, aim), value))
            }
            Target::BestOf { of, must, aim } => {
                let (_, value) = self.best(of)?;
                Some((Verdict::of(|limit| value >= limit, must, aim), value))
            }
            Target::AtMost { must, aim } => {
                let figures = self.outcome(OURS)?.figures(self.case.measure);
                let value = Summary::of(&figures)?.median;
                Some((Verdict::of(|limit| value <= limit, must, aim), value))
            }
        }
    }

    /// Of some contenders the one that ours does the least multiple of, and that multiple.
    fn best(&self, names: &[&'static str]) -> Option<(&'static str, f64)> {
        names
            .iter()
            .filter_map(|name| Some((*name, self.ratio(OURS, name)?.median)))
            .min_by(|one, other| one.1.total_cmp(&other.1))
    }

    pub(super) fn to_json(&self) -> Json {
        let (kind, unit) = match self.case.measure {
            Measure::Rate(unit) => ("per CPU second", unit),
            Measure::Memory(unit) => ("KB per unit", unit),
        };
        Json::Object(vec![
            ("row", Json::text(self.row)),
            ("case", Json::text(self.case.name.as_str())),
            ("figure", Json::text(kind)),
            ("unit", Json::text(unit)),
            ("reference", Json::text(self.case.reference)),
            ("load", Json::words(&self.case.load)),
            (
                "contenders",
                Json::list(&self.outcomes, |outcome| self.outcome_json(outcome)),
            ),
            (
                "targets",
                Json::list(self.case.targets, |target| self.target_json(target)),
            ),
        ])
    }

    fn outcome_json(&self, outcome: &Outcome) -> Json {
        let (state, reason) = match &outcome.trouble {
            None => ("measured", None),
            Some(Trouble::Absent(reason)) => ("absent", Some(reason)),
            Some(Trouble::Failed(reason)) => ("failed", Some(reason)),
        };
        let figures = Summary::of(&outcome.figures(self.case.measure));
        let walls = Summary::of(&outcome.walls());
        let ratio = self.ratio(outcome.name, self.case.reference);
        Json::Object(vec![
            ("name", Json::text(outcome.name)),
            ("state", Json::text(state)),
            ("reason", Json::option(reason, Json::text)),
            ("command", Json::words(&outcome.command)),
            ("configuration", Json::text(outcome.configuration.as_str())),
            ("figure", Json::option(figures, summary_json)),
            ("ratio", Json::option(ratio, summary_json)),
            ("per_wall_second", Json::option(walls, summary_json)),
            (
                "wall_ratio",
                Json::option(self.wall_ratio(outcome.name), summary_json),
            ),
            ("samples", Json::list(&outcome.samples, sample_json)),
        ])
    }

    fn target_json(&self, target: &Target) -> Json {
        let (against, must, aim) = match *target {
            Target::AtLeast { against, must, aim } => (Some(against), must, aim),
            Target::BestOf { of, must, aim } => (self.best(of).map(|(best, _)| best), must, aim),
            Target::AtMost { must, aim } => (None, must, aim),
        };
        let judged = self.judge(target);
        Json::Object(vec![
            ("against", Json::option(against, Json::text)),
            ("must", Json::Number(must)),
            ("aim", Json::Number(aim)),
            (
                "ours",
                Json::option(judged.map(|(_, value)| value), Json::Number),
            ),
            (
                "verdict",
                Json::option(judged, |(verdict, _)| Json::text(verdict.sentence())),
            ),
        ])
    }
}

fn summary_json(summary: Summary) -> Json {
    Json::Object(vec![
        ("median", Json::Number(summary.median)),
        ("low", Json::Number(summary.low)),
        ("high", Json::Number(summary.high)),
    ])
}

fn sample_json(sample: &Sample) -> Json {
    Json::Object(vec![
        ("units", Json::Number(f64::from(sample.work.units))),
        ("wall_seconds", Json::Number(sample.work.wall.as_secs_f64())),
        (
            "server_cpu_seconds",
            Json::Number(sample.server.as_secs_f64()),
        ),
        (
            "load_cpu_seconds",
            Json::Number(sample.work.processor.as_secs_f64()),
        ),
        ("memory_growth_bytes", Json::Number(sample.growth as f64)),
    ])
}

/// How busy each core was, with a mark where the load, not the server, was the limit.
fn busy(samples: &[Sample]) -> String {
    let share = |of: fn(&Sample) -> f64| {
        let shares: Vec<f64> = samples.iter().map(of).collect();
        Summary::of(&shares).map_or(0.0, |summary| summary.median)
    };
    let (server, load) = (share(Sample::server_share), share(Sample::load_share));
    let mark = if load > SATURATED && server < SATURATED {
        " *"
    } else {
        ""
    };
    format!("{:.0} % / {:.0} %{mark}", server * 100.0, load * 100.0)
}

/// A number to read: thousands apart, or two decimals where it is small.
fn figure(number: f64) -> String {
    if number.abs() < 100.0 {
        return format!("{number:.2}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::tests::sampled;
    use crate::bench::row::Probe;

    const TARGETS: &[Target] = &[Target::AtLeast {
        against: "c-floor",
        must: 0.9,
        aim: 0.97,
    }];

    fn outcome(name: &'static str, samples: Vec<Sample>, trouble: Option<Trouble>) -> Outcome {
        Outcome {
            name,
            command: vec!["program".into(), "{port}".into()],
            configuration: String::new(),
            samples,
            trouble,
        }
    }

    fn measured(ours: Option<Trouble>) -> Measured {
        let samples = |server| vec![sampled(100_000, server, 0); 3];
        let ours_samples = if ours.is_some() {
            Vec::new()
        } else {
            samples(1100)
        };
        Measured {
            row: "accept",
            case: Case {
                name: "some".into(),
                measure: Measure::Rate("connections"),
                reference: "c-floor",
                load: vec!["lines".into()],
                probe: Probe::Line,
                is_sliced: false,
                contenders: Vec::new(),
                targets: TARGETS,
            },
            outcomes: vec![
                outcome("c-floor", samples(1000), None),
                outcome(OURS, ours_samples, ours),
                outcome("ncat", Vec::new(), Some(Trouble::Failed("it ended".into()))),
            ],
        }
    }

    #[test]
    fn a_table_tells_ratios_targets_and_failures() {
        let table = measured(None).table();
        for part in [
            "accept, some: connections per CPU second",
            "100,000     0 %  1.00 (1.00 to 1.00)",
            "90,909     0 %  0.91 (0.91 to 0.91)",
            "ncat            FAILED: it ended",
            "target: ours is 0.91 of c-floor; must 0.90, aim 0.97: the must is reached",
        ] {
            assert!(table.contains(part), "{part}\n{table}");
        }
    }

    #[test]
    fn what_is_not_in_this_build_is_no_failure_and_no_miss() {
        let absent = measured(Some(Trouble::Absent("not in this build".into())));
        assert!(!absent.has_ours_failed());
        assert!(
            absent
                .table()
                .contains("ours            - not in this build")
        );
        assert!(!absent.table().contains("target:"));
        assert!(measured(Some(Trouble::Failed("x".into()))).has_ours_failed());
    }

    #[test]
    fn the_json_has_every_sample() {
        let json = measured(None).to_json().to_string();
        assert_eq!(json.matches("\"server_cpu_seconds\"").count(), 6);
        assert!(
            json.contains("\"state\": \"failed\", \"reason\": \"it ended\""),
            "{json}"
        );
    }

    #[test]
    fn targets_are_judged_from_both_ends() {
        for (value, expected) in [
            (0.97, Verdict::Aim),
            (0.9, Verdict::Must),
            (0.89, Verdict::Missed),
        ] {
            assert_eq!(Verdict::of(|limit| value >= limit, 0.9, 0.97), expected);
        }
    }

    #[test]
    fn a_load_at_its_limit_is_marked() {
        let busy_of = |server, load| {
            let mut sample = sampled(1, server, 0);
            sample.work.processor = std::time::Duration::from_millis(load);
            busy(&[sample])
        };
        assert_eq!(busy_of(500, 990), "50 % / 99 % *");
        assert_eq!(busy_of(990, 990), "99 % / 99 %");
    }

    #[test]
    fn figures_are_grouped() {
        for (number, expected) in [
            (0.5, "0.50"),
            (100.0, "100"),
            (1234567.8, "1,234,568"),
            (12345.0, "12,345"),
        ] {
            assert_eq!(figure(number), expected);
        }
    }
}

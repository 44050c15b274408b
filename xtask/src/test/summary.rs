//! The table at the end of a run, and the line that counts it.

use std::fmt::Write as _;
use std::time::Duration;

use crate::shell::Trouble;

/// How one step ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) step: &'static str,
    pub(super) trouble: Option<Trouble>,
    pub(super) time: Duration,
}

impl Outcome {
    pub(super) fn word(&self) -> &'static str {
        match self.trouble {
            None => "passed",
            Some(Trouble::Failed(_)) => "failed",
            Some(Trouble::Skipped { .. }) => "skipped",
        }
    }

    pub(super) fn reason(&self) -> &str {
        match &self.trouble {
            None => "",
            Some(trouble) => trouble.reason(),
        }
    }
}

/// The table and, last, `N passed, N failed` alone on its line.
pub(super) fn summary(outcomes: &[Outcome]) -> String {
    let count = |word: &str| {
        outcomes
            .iter()
            .filter(|outcome| outcome.word() == word)
            .count()
    };
    let total: Duration = outcomes.iter().map(|outcome| outcome.time).sum();
    let mut text = String::new();
    for outcome in outcomes {
        let (word, time) = (outcome.word(), duration(outcome.time));
        let line = format!(
            "{:<11} {word:<8} {time:>10}  {}",
            outcome.step,
            outcome.reason()
        );
        // Writing to a string can't fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(text, "\nSteps, not tests, in {}:", duration(total));
    let _ = write!(
        text,
        "{} passed, {} failed",
        count("passed"),
        count("failed")
    );
    if count("skipped") > 0 {
        let _ = write!(text, ", {} skipped", count("skipped"));
    }
    text
}

pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(step: &'static str, trouble: Option<Trouble>, seconds: u64) -> Outcome {
        Outcome {
            step,
            trouble,
            time: Duration::from_secs(seconds),
        }
    }

    fn last_line(outcomes: &[Outcome]) -> String {
        summary(outcomes)
            .lines()
            .last()
            .unwrap_or_default()
            .to_owned()
    }

    #[test]
    fn the_last_line_counts_and_names_skips_only_if_there_are_any() {
        let passed = || outcome("fmt", None, 1);
        let failed = || outcome("doc", Some(Trouble::Failed("exit status: 1".into())), 1);
        let skipped = || {
            let reason = "no nightly".into();
            outcome(
                "fuzz",
                Some(Trouble::Skipped {
                    reason,
                    installable: true,
                }),
                0,
            )
        };
        assert_eq!(last_line(&[passed(), passed()]), "2 passed, 0 failed");
        assert_eq!(last_line(&[passed(), failed()]), "1 passed, 1 failed");
        assert_eq!(
            last_line(&[failed(), skipped()]),
            "0 passed, 1 failed, 1 skipped"
        );
    }

    #[test]
    fn a_step_that_did_not_pass_has_its_reason_in_the_table() {
        let text = summary(&[outcome(
            "doc",
            Some(Trouble::Failed("exit status: 1".into())),
            75,
        )]);
        assert_eq!(
            text.lines().next(),
            Some("doc         failed   1 min 15 s  exit status: 1")
        );
    }

    #[test]
    fn durations_are_readable() {
        for (milliseconds, text) in [
            (0, "0.0 s"),
            (1_250, "1.2 s"),
            (60_000, "1 min 00 s"),
            (605_000, "10 min 05 s"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), text);
        }
    }
}

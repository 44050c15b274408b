//! `cargo xtask test`: every check that CI makes, in one command.

mod steps;
mod summary;

use std::collections::BTreeSet;
use std::env;
use std::process::ExitCode;
use std::time::Instant;

use crate::shell::{Shell, Trouble};
use crate::{Refusal, Subcommand, debian};
use steps::{STEPS, Step, When};
use summary::Outcome;

pub(crate) const SUBCOMMAND: Subcommand = Subcommand {
    name: "test",
    summary: "every check that CI makes; installs the Debian packages they need",
    help: "\
Usage: cargo xtask test [--quick | --only STEP... | --php VERSION | --php-build BUILD] [--list]

Runs every step, those after a failure too, and ends with a table. What a step said is kept in
target/xtask/STEP.log. A step that can't run here is skipped with its reason; with CI=true in the
environment that is a failure, if installing something would have mended it.

  --quick            only what one runs while working: fmt, clippy, test
  --only STEP        only this step; may be repeated
  --php 8.4          only the extension, on PHP 8.4 of Debian 13, in a folder made by debootstrap
  --php-build zts    only the extension, on a build of PHP for threads
  --php-build debug  only the extension, on a build of PHP that tells of leaks
  --list             the steps and the Debian packages they need, and run nothing

The three with another PHP run only when asked for. They make it of what Debian's archive has, keep
it in target/xtask, and run the project's scripts and PHP's own tests on it.

Exit code: 0 nothing failed, 1 something failed, 2 wrong arguments.",
    run,
};

/// Lines shown of the first failure. Those after it often have the same cause.
const FIRST_FAILURE_LINES: usize = 400;
const LATER_FAILURE_LINES: usize = 40;

#[derive(Debug, Default, PartialEq)]
struct Arguments {
    is_quick: bool,
    is_list: bool,
    only: BTreeSet<String>,
}

fn run(arguments: &[String]) -> Result<ExitCode, Refusal> {
    let arguments = parse(arguments)?;
    if arguments.is_list {
        list(&arguments);
        return Ok(ExitCode::SUCCESS);
    }
    let chosen: Vec<&Step> = STEPS.iter().filter(|step| arguments.wants(step)).collect();
    debian::ensure(&chosen.iter().map(|step| step.name).collect())?;

    let mut outcomes: Vec<Outcome> = Vec::new();
    for step in chosen {
        let is_first_failure = !outcomes.iter().any(|outcome| outcome.word() == "failed");
        outcomes.push(perform(step, is_first_failure));
    }
    println!("\n{}", summary::summary(&outcomes));
    let has_failed = outcomes.iter().any(|outcome| outcome.word() == "failed");
    Ok(if has_failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

impl Arguments {
    fn is_restricted(&self) -> bool {
        self.is_quick || !self.only.is_empty()
    }

    fn wants(&self, step: &Step) -> bool {
        if !self.only.is_empty() {
            return self.only.contains(step.name);
        }
        match step.when {
            When::Quick => true,
            When::Always => !self.is_quick,
            When::Asked => false,
        }
    }

    /// Adds the step whose name is `prefix` and the word behind `option`.
    fn ask(&mut self, option: &str, prefix: &str, word: Option<&String>) -> Result<(), Refusal> {
        let word = word.map_or("", String::as_str);
        let choices: Vec<&str> = STEPS
            .iter()
            .filter_map(|step| step.name.strip_prefix(prefix))
            .collect();
        if !choices.contains(&word) {
            return Err(Refusal::Usage(format!(
                "`{option}` needs one of: {}",
                choices.join(", ")
            )));
        }
        self.only.insert(format!("{prefix}{word}"));
        Ok(())
    }
}

fn parse(words: &[String]) -> Result<Arguments, Refusal> {
    let mut arguments = Arguments::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => arguments.is_quick = true,
            "--list" => arguments.is_list = true,
            "--only" => arguments.ask(word, "", words.next())?,
            "--php" => arguments.ask(word, "php-", words.next())?,
            "--php-build" => arguments.ask(word, "build-", words.next())?,
            _ => {
                return Err(Refusal::Usage(format!(
                    "there is no option `{word}`\n\n{}",
                    SUBCOMMAND.help
                )));
            }
        }
    }
    if arguments.is_quick && !arguments.only.is_empty() {
        return Err(Refusal::Usage(
            "`--quick` and the choice of a step exclude each other".into(),
        ));
    }
    Ok(arguments)
}

fn list(arguments: &Arguments) {
    println!("Steps (* with --quick, + only when asked for):");
    let is_shown = |step: &&Step| arguments.wants(step) || !arguments.is_restricted();
    for Step {
        name, what, when, ..
    } in STEPS.iter().filter(is_shown)
    {
        let mark = match when {
            When::Quick => '*',
            When::Always => ' ',
            When::Asked => '+',
        };
        println!(" {mark} {name:<11} {what}");
    }
    println!("\nDebian packages, the program or file that shows each, what for (the steps):");
    debian::print_table();
}

fn perform(step: &'static Step, is_first_failure: bool) -> Outcome {
    let start = Instant::now();
    let mut shell = match Shell::open(step.name, step.what) {
        Ok(shell) => shell,
        Err(trouble) => {
            return Outcome {
                step: step.name,
                trouble: Some(trouble),
                time: start.elapsed(),
            };
        }
    };
    let trouble = (step.run)(&mut shell)
        .err()
        .map(|trouble| judge(trouble, is_ci()));
    let outcome = Outcome {
        step: step.name,
        trouble,
        time: start.elapsed(),
    };

    let time = summary::duration(outcome.time);
    let reason = outcome.reason();
    let separator = if reason.is_empty() { "" } else { ": " };
    shell.finish(
        step.name,
        &format!("{}, {time}{separator}{reason}", outcome.word()),
    );
    if outcome.word() == "failed" {
        let lines = if is_first_failure {
            FIRST_FAILURE_LINES
        } else {
            LATER_FAILURE_LINES
        };
        show_findings(&shell, lines);
    }
    outcome
}

fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}

/// CI has what can be installed: what it skips for lack of it would never be checked anywhere.
fn judge(trouble: Trouble, is_ci: bool) -> Trouble {
    match trouble {
        Trouble::Skipped {
            reason,
            installable: true,
        } if is_ci => Trouble::Failed(format!("a skip, which CI does not allow: {reason}")),
        other => other,
    }
}

fn show_findings(shell: &Shell, limit: usize) {
    let findings = shell.findings();
    let shown = &findings[findings.len().saturating_sub(limit)..];
    if shown.len() < findings.len() {
        println!("  | [{} lines before]", findings.len() - shown.len());
    }
    for line in shown {
        println!("  | {line}");
    }
    println!("  whole log: {}", shell.log_path().display());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Arguments, Refusal> {
        parse(
            &words
                .iter()
                .map(|word| word.to_string())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn wrong_arguments_are_usage_errors() {
        for words in [
            &["--fast"][..],
            &["fmt"],
            &["--only"],
            &["--only", "tidy"],
            &["--quick", "--only", "fmt"],
            &["--php", "8.1"],
            &["--php", "zts"],
            &["--php-build"],
        ] {
            assert!(
                matches!(parse_words(words), Err(Refusal::Usage(_))),
                "{words:?}"
            );
        }
    }

    #[test]
    fn the_steps_chosen_are_those_asked_for() {
        for (words, expected) in [
            (&["--quick"][..], &["fmt", "clippy", "test"][..]),
            (&["--only", "doc", "--only", "fmt"], &["fmt", "doc"]),
            (&["--php", "8.4"], &["php-8.4"]),
            (
                &["--php-build", "zts", "--php-build", "debug"],
                &["build-zts", "build-debug"],
            ),
        ] {
            let arguments = parse_words(words).expect("the arguments are right");
            let chosen = STEPS
                .iter()
                .filter(|step| arguments.wants(step))
                .map(|step| step.name);
            assert_eq!(chosen.collect::<Vec<_>>(), expected);
        }
        let is_unasked = |step: &Step| Arguments::default().wants(step);
        assert!(
            STEPS
                .iter()
                .all(|step| is_unasked(step) == (step.when != When::Asked))
        );
    }

    #[test]
    fn only_ci_turns_a_skip_into_a_failure_and_only_what_can_be_installed() {
        let skipped = |installable| Trouble::Skipped {
            reason: "no nightly".into(),
            installable,
        };
        assert_eq!(judge(skipped(true), false), skipped(true));
        assert_eq!(judge(skipped(false), true), skipped(false));
        assert_eq!(
            judge(skipped(true), true),
            Trouble::Failed("a skip, which CI does not allow: no nightly".into())
        );
    }
}

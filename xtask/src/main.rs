//! The project's own chores, each a subcommand with a file: `cargo xtask help` lists them.
//!
//! Only std is used, so that a machine with nothing but Rust starts the checks after a short build.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that talks to a person"
)]

mod bench;
mod debian;
mod parallel;
mod php;
mod shell;
mod soak;
mod test;
mod tools;

use std::env;
use std::process::ExitCode;

/// One chore. A new one is a file with such a constant, and a line in [`SUBCOMMANDS`].
struct Subcommand {
    name: &'static str,
    /// One line for the list.
    summary: &'static str,
    /// What `--help` prints.
    help: &'static str,
    run: fn(&[String]) -> Result<ExitCode, Refusal>,
}

const SUBCOMMANDS: &[&Subcommand] = &[
    &test::SUBCOMMAND,
    &bench::SUBCOMMAND,
    &php::RUN,
    &php::INSTALL,
    &php::PHPT,
    &soak::SUBCOMMAND,
];

/// Why a subcommand ended without doing its work.
#[derive(Debug)]
enum Refusal {
    /// What was typed makes no sense: exit code 2.
    Usage(String),
    /// The machine or the tree does not allow it: exit code 1.
    Unable(String),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(Refusal::Usage(message)) => {
            eprintln!("xtask: {message}");
            ExitCode::from(2)
        }
        Err(Refusal::Unable(message)) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<ExitCode, Refusal> {
    let Some((name, rest)) = arguments.split_first() else {
        return Err(Refusal::Usage(format!("no subcommand given\n\n{}", list())));
    };
    if is_help(name) || name == "help" {
        println!("{}", list());
        return Ok(ExitCode::SUCCESS);
    }
    let Some(subcommand) = SUBCOMMANDS.iter().find(|known| known.name == name) else {
        return Err(Refusal::Usage(format!(
            "there is no subcommand `{name}`\n\n{}",
            list()
        )));
    };
    if rest.iter().any(|word| is_help(word)) {
        println!("{}", subcommand.help);
        return Ok(ExitCode::SUCCESS);
    }
    (subcommand.run)(rest)
}

fn is_help(word: &str) -> bool {
    matches!(word, "--help" | "-h")
}

fn list() -> String {
    let mut text = String::from("Usage: cargo xtask SUBCOMMAND [OPTIONS]\n\nSubcommands:");
    for Subcommand { name, summary, .. } in SUBCOMMANDS {
        text.push_str(&format!("\n  {name:<12} {summary}"));
    }
    text.push_str("\n  help         this list; `cargo xtask SUBCOMMAND --help` tells more");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dispatch_words(words: &[&str]) -> Result<ExitCode, Refusal> {
        let arguments: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        dispatch(&arguments)
    }

    #[test]
    fn an_unknown_subcommand_is_answered_with_the_list() {
        for words in [&["tset"][..], &[]] {
            let Err(Refusal::Usage(message)) = dispatch_words(words) else {
                panic!("{words:?} was accepted");
            };
            assert!(message.contains("\n  test "), "{message}");
        }
    }

    #[test]
    fn help_is_a_success() {
        for words in [
            &["help"][..],
            &["--help"],
            &["test", "--help"],
            &["test", "-h"],
        ] {
            assert!(dispatch_words(words).is_ok(), "{words:?} was refused");
        }
    }
}

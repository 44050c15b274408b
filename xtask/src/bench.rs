//! `cargo xtask bench`: ours and its peers, side by side in one run.
//!
//! Only ratios within one run count, and the server's processor time more than the time that
//! passed, which on loopback the load limits. `bench/README.md` says how to read the numbers.

mod ground;
mod json;
mod load;
mod machine;
mod make;
mod measure;
mod network;
mod pinned;
mod process;
mod report;
mod row;
mod rows;
mod server;
mod statistics;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::shell::{Shell, Trouble};
use crate::{Refusal, Subcommand, debian};
use ground::{FULL, Form, Ground, QUICK};
use json::Json;
use report::Measured;
use row::Row;
use rows::ROWS;

pub(crate) const SUBCOMMAND: Subcommand = Subcommand {
    name: "bench",
    summary: "processor time and memory of ours and its peers, side by side",
    help: "\
Usage: cargo xtask bench [NAME...] [--full] [--runs N] [--json FILE] [--list]

Builds our command, the load and what else takes part, in release form, installs the missing Debian
packages, and measures one case after another: each contender once a round, the server on one core
and the load on another, every reply compared. Prints medians, spreads, and ratios within a round; a
`*` says that the load was the limit. All rows take some ten minutes after the builds.

  NAME         only this row, or this group: `relay` is every row whose name begins with `relay-`
  --full       3 s a run instead of 0.7, nine rounds instead of three: more than an hour
  --runs N     so many rounds
  --json FILE  write all samples there, instead of to target/xtask/bench.json
  --list       the rows and the Debian packages they need, and run nothing

Exit code: 0 measured, 1 ours failed or nothing could be measured, 2 wrong arguments. A missed
target is said and is no failure, nor is a peer that fails.",
    run,
};

/// More rounds than this are a mistyped number.
const MOST_RUNS: usize = 100;

#[derive(Debug, PartialEq)]
struct Arguments {
    form: Form,
    /// Rows and groups of them; none for all.
    names: BTreeSet<String>,
    json: Option<PathBuf>,
    is_list: bool,
}

impl Arguments {
    fn wants(&self, row: &Row) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| is_named(row, name))
    }
}

/// Whether it is the row, or the group that it is in.
fn is_named(row: &Row, name: &str) -> bool {
    let rest = row.name.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn run(arguments: &[String]) -> Result<ExitCode, Refusal> {
    let arguments = parse(arguments)?;
    let chosen: Vec<&Row> = ROWS
        .iter()
        .filter(|row| arguments.wants(row))
        .copied()
        .collect();
    if arguments.is_list {
        list(&chosen);
        return Ok(ExitCode::SUCCESS);
    }
    debian::ensure(&BTreeSet::from(["bench"]))?;
    let start = Instant::now();
    let cores = machine::cores()?;
    let unable = |trouble: Trouble| Refusal::Unable(trouble.reason().to_owned());
    let mut shell = Shell::open("bench", "building what takes part").map_err(unable)?;
    let ground = match make::make(&mut shell, arguments.form, cores, &chosen) {
        Ok(ground) => ground,
        Err(trouble) => {
            shell.finish("bench", "failed");
            let log = shell.log_path().display().to_string();
            let reason = trouble.reason();
            return Err(Refusal::Unable(format!("{reason}\n  whole log: {log}")));
        }
    };
    shell.finish("bench", &format!("{:.0} s", start.elapsed().as_secs_f64()));

    let machine = machine::describe(cores);
    warn_of_other_work();
    let logs = shell.target_folder().join("xtask/bench");
    let measured = measure_all(&ground, &chosen, &logs)?;
    let file = arguments
        .json
        .unwrap_or_else(|| shell.target_folder().join("xtask/bench.json"));
    write_json(&file, &ground, machine, &measured)?;
    println!("\nAll samples: {}", file.display());
    let has_failed = measured.is_empty() || measured.iter().any(Measured::has_ours_failed);
    Ok(if has_failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn measure_all(ground: &Ground, rows: &[&Row], logs: &Path) -> Result<Vec<Measured>, Refusal> {
    let start = Instant::now();
    let mut all = Vec::new();
    for row in rows {
        let folder = measure::folder(logs, row.name).map_err(Refusal::Unable)?;
        for case in (row.cases)(ground) {
            let outcomes = measure::case(ground, &case, &folder);
            let measured = Measured {
                row: row.name,
                case,
                outcomes,
            };
            println!("{}", measured.table());
            all.push(measured);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("\nMeasured in {seconds:.0} s. A ratio is of one round: median, lowest, highest.");
    Ok(all)
}

fn warn_of_other_work() {
    const QUIET: f64 = 0.3;
    if let Some(load) = machine::other_work().filter(|load| *load > QUIET) {
        println!(
            "The load average is {load}: others are at work here (or we just were), expect noise."
        );
    }
}

fn write_json(
    file: &Path,
    ground: &Ground,
    machine: Json,
    measured: &[Measured],
) -> Result<(), Refusal> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let json = Json::Object(vec![
        ("unix_time", Json::Number(now.as_secs() as f64)),
        ("form", Json::text(ground.form.name)),
        (
            "seconds_per_run",
            Json::Number(ground.form.span.as_secs_f64()),
        ),
        ("rounds", Json::Number(ground.form.runs as f64)),
        ("machine", machine),
        ("versions", machine::versions(&ground.root)),
        ("cases", Json::list(measured, Measured::to_json)),
    ]);
    fs::write(file, format!("{json}\n"))
        .map_err(|error| Refusal::Unable(format!("cannot write {}: {error}", file.display())))
}

fn parse(words: &[String]) -> Result<Arguments, Refusal> {
    let mut arguments = Arguments {
        form: QUICK,
        names: BTreeSet::new(),
        json: None,
        is_list: false,
    };
    let mut runs = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().map(String::as_str).unwrap_or_default();
        match word.as_str() {
            "--full" => arguments.form = FULL,
            "--list" => arguments.is_list = true,
            "--runs" => runs = Some(run_count(value())?),
            "--json" => match value() {
                "" => return Err(Refusal::Usage("`--json` needs a file".into())),
                file => arguments.json = Some(file.into()),
            },
            option if option.starts_with('-') => {
                return Err(Refusal::Usage(format!(
                    "there is no option `{option}`\n\n{}",
                    SUBCOMMAND.help
                )));
            }
            name => drop(arguments.names.insert(row_name(name)?)),
        }
    }
    arguments.form.runs = runs.unwrap_or(arguments.form.runs);
    Ok(arguments)
}

fn row_name(word: &str) -> Result<String, Refusal> {
    if ROWS.iter().any(|row| is_named(row, word)) {
        return Ok(word.to_owned());
    }
    let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
    let names = names.join(", ");
    Err(Refusal::Usage(format!(
        "there is no row or group `{word}`; the rows: {names}"
    )))
}

fn run_count(word: &str) -> Result<usize, Refusal> {
    match word.parse() {
        Ok(count @ 1..=MOST_RUNS) => Ok(count),
        _ => Err(Refusal::Usage(format!(
            "`--runs` needs a number from 1 to {MOST_RUNS}"
        ))),
    }
}

fn list(chosen: &[&Row]) {
    println!("Rows:");
    for row in chosen {
        println!("  {:<18} {}", row.name, row.what);
    }
    println!("\nDebian packages, the program that shows each, the steps, what for:");
    debian::print_table();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Arguments, Refusal> {
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        parse(&words)
    }

    #[test]
    fn wrong_arguments_are_usage_errors() {
        for words in [
            &["--fast"][..],
            &["--only", "accept"],
            &["acc"],
            &["rela"],
            &["--runs", "0"],
            &["--runs", "many"],
            &["--json"],
        ] {
            assert!(
                matches!(parse_words(words), Err(Refusal::Usage(_))),
                "{words:?}"
            );
        }
    }

    #[test]
    fn a_group_is_the_rows_that_begin_with_its_name() {
        let wanted = |words: &[&str]| -> Vec<&str> {
            let arguments = parse_words(words).unwrap();
            let rows = ROWS.iter().filter(|row| arguments.wants(row));
            rows.map(|row| row.name).collect()
        };
        assert_eq!(wanted(&[]).len(), ROWS.len());
        assert_eq!(wanted(&["accept", "udp-echo"]), ["accept", "udp-echo"]);
        let relays = wanted(&["relay"]);
        assert!(
            relays.len() > 1 && relays.contains(&"relay-bulk"),
            "{relays:?}"
        );
    }

    #[test]
    fn the_number_of_rounds_is_the_forms_unless_it_is_given() {
        for (words, expected) in [
            (&[][..], QUICK.runs),
            (&["--full"], FULL.runs),
            (&["--runs", "5", "--full"], 5),
        ] {
            assert_eq!(parse_words(words).unwrap().form.runs, expected, "{words:?}");
        }
    }
}

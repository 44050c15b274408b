//! `cargo xtask soak`: what takes too long for the checks.

mod relay;

use std::process::ExitCode;

use crate::{Refusal, Subcommand, php};

pub(crate) const SUBCOMMAND: Subcommand = Subcommand {
    name: "soak",
    summary: "long runs: connections in one PHP process, bytes through each relay, Fibers by seeds",
    help: "\
Usage: cargo xtask soak [php] [--cycles N] [--seconds S]
       cargo xtask soak relay [--mebibytes N] [--seed S]
       cargo xtask soak fibers [--minutes N] [--seed S]

php    opens, uses and closes connections in one PHP process with the extension, by turns over tcp
       and unix, with datagrams, failures and stream_select among them; memory and descriptors must
       not grow. `cargo xtask test` makes a shorter one.

  --cycles N     how many (1000000)
  --seconds S    how long at most (900)

relay  has the command carry random bytes both ways between every pair of transports, while ends of
       one direction, resets, stalls and short reads come from a seed; all of them must arrive, and
       no socket may stay. `cargo xtask test` carries 2 MiB each way.

  --mebibytes N  how much each way, by each pair (1024)
  --seed S       another order of events (1)

fibers has clients and handlers of `stream_socket_serve` do everything at once, by a seed: open,
       close one another's streams, throw, nest Fibers, collect garbage. The next seed follows,
       until the time is over or one goes wrong, which is told. `cargo xtask test` has one seed.

  --minutes N    how long (30)
  --seed S       the first (the time, so that each run has others)

Exit code: 0 all was well, 1 it was not, 2 wrong arguments.",
    run,
};

fn run(words: &[String]) -> Result<ExitCode, Refusal> {
    match words.split_first() {
        Some((what, rest)) if what == "relay" => relay::run(rest),
        Some((what, rest)) if what == "fibers" => php::stress(rest),
        Some((what, rest)) if what == "php" => php::soak(rest),
        _ => php::soak(words),
    }
}

/// The numbers behind these flags, each its default where it is not given.
pub(crate) fn numbers<const N: usize>(
    words: &[String],
    known: [(&str, u64); N],
) -> Result<[u64; N], Refusal> {
    let usage = || Refusal::Usage(SUBCOMMAND.help.to_owned());
    let mut numbers = known.map(|(_, default)| default);
    for pair in words.chunks(2) {
        let place = known.iter().position(|(flag, _)| *flag == pair[0]);
        let number = pair.get(1).and_then(|word| word.parse().ok());
        numbers[place.ok_or_else(usage)?] = number.ok_or_else(usage)?;
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_are_unknown_or_without_a_number_are_refused() {
        let parse = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(String::from).collect();
            numbers(&words, [("--one", 1), ("--other", 2)])
        };
        assert_eq!(parse("--other 7").ok(), Some([1, 7]));
        assert_eq!(parse("").ok(), Some([1, 2]));
        for line in ["--one", "--one x", "--third 3", "relay"] {
            assert!(matches!(parse(line), Err(Refusal::Usage(_))), "{line}");
        }
    }
}

//! `cargo xtask soak`: a million connections opened and closed in one PHP process.

use std::process::{Command, ExitCode};

use super::run::{prepared, unable};
use crate::shell::root;
use crate::{Refusal, Subcommand, debian};

pub(crate) const SUBCOMMAND: Subcommand = Subcommand {
    name: "soak",
    summary: "a million connections in one PHP process, and what stays of them",
    help: "\
Usage: cargo xtask soak [--cycles N] [--seconds S]

Opens, uses and closes connections in one PHP process with the extension, by turns over tcp and
unix, with datagrams, failures and stream_select among them; memory and descriptors must not grow.
`cargo xtask test` makes a shorter one.

  --cycles N   how many (1000000)
  --seconds S  how long at most (900)

Exit code: 0 nothing stayed, 1 something did, 2 wrong arguments.",
    run,
};

fn run(words: &[String]) -> Result<ExitCode, Refusal> {
    let (mut cycles, mut seconds) = (1_000_000_u64, 900_u64);
    for pair in words.chunks(2) {
        let number = pair.get(1).and_then(|word| word.parse().ok());
        match (pair[0].as_str(), number) {
            ("--cycles", Some(number)) => cycles = number,
            ("--seconds", Some(number)) => seconds = number,
            _ => return Err(Refusal::Usage(SUBCOMMAND.help.to_owned())),
        }
    }
    debian::ensure(&["php"].into())?;
    let scanned = prepared().map_err(unable)?;
    let status = Command::new("php")
        .arg(root().join("tests/php/soak.php"))
        .args([cycles.to_string(), seconds.to_string()])
        .env("PHP_INI_SCAN_DIR", scanned)
        .status()
        .map_err(|error| Refusal::Unable(format!("cannot start php: {error}")))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

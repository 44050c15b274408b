//! `cargo xtask soak relay`: the test of all pairs of transports, as long as one likes.

use std::env;
use std::process::{Command, ExitCode};

use super::numbers;
use crate::shell::root;
use crate::{Refusal, debian};

pub(super) fn run(words: &[String]) -> Result<ExitCode, Refusal> {
    let [mebibytes, seed] = numbers(words, [("--mebibytes", 1024), ("--seed", 1)])?;
    debian::ensure(&["test"].into())?;
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "test",
            "--release",
            "-p",
            "stream-socket-cli",
            "--test",
            "it",
        ])
        // One after the other, each with a core for the relay and one for what it is between.
        .args(["--", "--nocapture", "--test-threads=1", "relay::pairs"])
        .env("MEBIBYTES", mebibytes.to_string())
        .env("SEED", seed.to_string())
        .current_dir(root())
        .status()
        .map_err(|error| Refusal::Unable(format!("cannot start cargo: {error}")))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

//! `cargo xtask soak php`: a million connections opened and closed in one PHP process.

use std::process::{Command, ExitCode};

use super::run::{prepared, unable};
use crate::shell::root;
use crate::soak::numbers;
use crate::{Refusal, debian};

pub(crate) fn run(words: &[String]) -> Result<ExitCode, Refusal> {
    let [cycles, seconds] = numbers(words, [("--cycles", 1_000_000), ("--seconds", 900)])?;
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

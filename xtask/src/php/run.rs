//! `cargo xtask php`: a script with the extension loaded.

use std::process::{Command, ExitCode};

use super::extension;
use crate::shell::{Shell, Trouble};
use crate::{Refusal, Subcommand, debian};

pub(crate) const SUBCOMMAND: Subcommand = Subcommand {
    name: "php",
    summary: "PHP with the extension loaded",
    help: "\
Usage: cargo xtask php -- SCRIPT [ARGUMENT...]

Builds the extension and runs php with it. PHP processes that the script starts have it too.

Exit code: that of php; 1 where it could not be started.",
    run,
};

fn run(words: &[String]) -> Result<ExitCode, Refusal> {
    let words = match words.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => words,
    };
    debian::ensure(&["php"].into())?;
    let scanned = prepared().map_err(unable)?;
    let status = Command::new("php")
        .args(words)
        .env("PHP_INI_SCAN_DIR", scanned)
        .status()
        .map_err(|error| Refusal::Unable(format!("cannot start php: {error}")))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

pub(super) fn prepared() -> Result<String, Trouble> {
    let mut shell = Shell::open("php", "building the extension")?;
    let library = extension::build(&mut shell)?;
    let scanned = extension::scanned_folder(&shell, &library)?;
    shell.finish("php", "built");
    Ok(scanned)
}

pub(super) fn unable(trouble: Trouble) -> Refusal {
    Refusal::Unable(trouble.reason().to_owned())
}

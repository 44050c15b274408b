//! `cargo xtask soak fibers`: the stress of Fibers, with other seeds for as long as one likes.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime};

use super::run::{prepared, unable};
use crate::shell::root;
use crate::soak::numbers;
use crate::{Refusal, debian};

const SCRIPT: &str = "tests/php/serve/stress.php";

/// No seed takes longer, on a machine that is busy.
const SECONDS: &str = "120";

pub(crate) fn run(words: &[String]) -> Result<ExitCode, Refusal> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(1, |since| since.as_secs());
    let [minutes, first] = numbers(words, [("--minutes", 30), ("--seed", now)])?;
    debian::ensure(&["php"].into())?;
    let scanned = prepared().map_err(unable)?;
    let root = root();
    let expected = std::fs::read_to_string(root.join(SCRIPT).with_extension("expected"))
        .map_err(|error| Refusal::Unable(format!("cannot read what {SCRIPT} says: {error}")))?;
    let (begun, minutes) = (Instant::now(), Duration::from_secs(minutes * 60));
    let mut seed = first;
    while seed == first || begun.elapsed() < minutes {
        if let Some(finding) = finding(&root, &scanned, seed, &expected)? {
            println!("seed {seed}: {finding}");
            println!("again: cargo xtask php -- {SCRIPT} {seed}");
            return Ok(ExitCode::FAILURE);
        }
        seed += 1;
    }
    println!("{} seeds from {first}, all well", seed - first);
    Ok(ExitCode::SUCCESS)
}

/// How a run went wrong, if it did.
fn finding(
    root: &Path,
    scanned: &str,
    seed: u64,
    expected: &str,
) -> Result<Option<String>, Refusal> {
    let output = Command::new("timeout")
        .args(["--signal=ABRT", SECONDS, "php"])
        .arg(root.join(SCRIPT))
        .arg(seed.to_string())
        .env("PHP_INI_SCAN_DIR", scanned)
        .output()
        .map_err(|error| Refusal::Unable(format!("cannot start timeout: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said == expected {
        return Ok(None);
    }
    let complaints = String::from_utf8_lossy(&output.stderr);
    Ok(Some(format!("{}\n{said}{complaints}", output.status)))
}

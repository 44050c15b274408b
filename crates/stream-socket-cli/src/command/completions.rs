//! `stream-socket completions`.

use clap_complete::{Shell, generate};

use crate::failure::Failure;
use crate::{args, output};

const NAME: &str = "stream-socket";

/// Prints what `shell` needs to complete this command.
pub(super) fn run(shell: Shell) -> Result<(), Failure> {
    // Not straight to standard output, where a reader who left would be a panic.
    let mut script = Vec::new();
    generate(shell, &mut args::command(), NAME, &mut script);
    if shell == Shell::Bash {
        script = mended(&String::from_utf8_lossy(&script)).into_bytes();
    }
    output::data(&script)
}

/// Subcommands of a command with a hyphen are called by one name and defined by another, so that
/// nothing of theirs is completed: <https://github.com/clap-rs/clap/issues/6421>.
fn mended(script: &str) -> String {
    script.replace("stream__subcmd__socket", "stream__socket")
}

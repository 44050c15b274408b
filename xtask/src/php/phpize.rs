//! The extension as PHP's own tools make it, and PIE by them: phpize, configure, make.

use std::fs;
use std::path::Path;

use crate::shell::{Shell, Trouble};

/// Builds it, and has PHP load it.
pub(crate) fn step(shell: &mut Shell) -> Result<(), Trouble> {
    let source = shell.root().join("crates/stream-socket-php");
    let result = build(shell, &source);
    // phpize puts its files beside ours.
    let mut clean = shell.command("phpize");
    clean.arg("--clean").current_dir(&source);
    let cleaned = shell.run(clean);
    result.and(cleaned)
}

fn build(shell: &mut Shell, source: &Path) -> Result<(), Trouble> {
    let objects = shell.target_folder().join("xtask/phpize");
    _ = fs::remove_dir_all(&objects);
    fs::create_dir_all(&objects).map_err(|error| {
        Trouble::Failed(format!("cannot create {}: {error}", objects.display()))
    })?;
    let mut phpize = shell.command("phpize");
    phpize.current_dir(source);
    let mut configure = shell.command(source.join("configure"));
    configure.arg("--quiet").current_dir(&objects);
    let mut make = shell.command("make");
    make.env("CARGO_TARGET_DIR", shell.target_folder());
    make.current_dir(&objects);
    for command in [phpize, configure, make] {
        shell.run(command)?;
    }
    let library = objects.join("modules/stream_socket.so");
    let mut php = shell.command("php");
    php.arg("-n").arg("-d");
    php.arg(format!("extension={}", library.display()));
    php.args(["-r", "exit(extension_loaded('stream_socket') ? 0 : 1);"]);
    shell.run(php)
}

//! Where the built extension is, and a folder of settings that loads it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Shell, Trouble};

/// A php command, and the extension built for it.
#[derive(Debug)]
pub(super) struct Php {
    pub(super) command: PathBuf,
    pub(super) library: PathBuf,
}

/// Builds it for the machine's PHP; the path of the library that PHP loads.
pub(super) fn build(shell: &mut Shell) -> Result<PathBuf, Trouble> {
    shell.run(cargo_build(shell))?;
    Ok(built(shell))
}

/// Builds it for the PHP of which `config` tells, and keeps it in `folder`.
pub(super) fn build_for(
    shell: &mut Shell,
    config: &Path,
    folder: &Path,
) -> Result<PathBuf, Trouble> {
    let mut command = cargo_build(shell);
    command.env("PHP_CONFIG", config);
    shell.run(command)?;
    kept(&built(shell), folder, "stream_socket.so")
}

fn cargo_build(shell: &Shell) -> Command {
    shell.cargo(&["build", "--release", "-p", "stream-socket-php"])
}

fn built(shell: &Shell) -> PathBuf {
    shell
        .target_folder()
        .join("release/libstream_socket_php.so")
}

/// Builds it with what tests alone need, and with the names of lines: a copy, in whose place nobody
/// puts a build without.
pub(super) fn build_simulated(shell: &mut Shell) -> Result<PathBuf, Trouble> {
    let mut command = shell.cargo(&["build", "-p", "stream-socket-php"]);
    command.args(["--features", "simulation"]);
    shell.run(command)?;
    let library = "libstream_socket_php.so";
    let built = shell.target_folder().join("debug").join(library);
    kept(&built, &shell.target_folder().join("xtask"), library)
}

fn kept(built: &Path, folder: &Path, name: &str) -> Result<PathBuf, Trouble> {
    let kept = folder.join(name);
    fs::copy(built, &kept)
        .map_err(|error| Trouble::Failed(format!("cannot write {}: {error}", kept.display())))?;
    Ok(kept)
}

/// The value of `PHP_INI_SCAN_DIR` that loads it beside what PHP loads anyway.
///
/// The command line's `-d extension=` would not reach PHP processes that a script starts.
pub(super) fn scanned_folder(shell: &Shell, library: &Path) -> Result<String, Trouble> {
    let folder = settings_folder(shell, "php-settings", &setting(library))?;
    // Before the colon stands what is scanned already: nothing is what PHP was built with.
    let before = env::var("PHP_INI_SCAN_DIR").unwrap_or_default();
    Ok(format!("{before}:{}", folder.display()))
}

/// The same, with no more of PHP's own modules than the scripts of `tests/php` use: to load all
/// takes valgrind as long as many a script does.
pub(super) fn spare_folder(shell: &Shell, library: &Path) -> Result<String, Trouble> {
    let modules = ["ctype", "curl", "posix", "sockets"];
    let mut text = String::from_iter(modules.map(|module| setting(Path::new(module))));
    text += &setting(library);
    let folder = settings_folder(shell, "php-spare-settings", &text)?;
    Ok(folder.display().to_string())
}

fn settings_folder(shell: &Shell, name: &str, text: &str) -> Result<PathBuf, Trouble> {
    let folder = shell.target_folder().join("xtask").join(name);
    let file = folder.join("stream_socket.ini");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&file, text))
        .map_err(|error| Trouble::Failed(format!("cannot write {}: {error}", file.display())))?;
    Ok(folder)
}

/// The line of a php.ini that loads it.
pub(super) fn setting(library: &Path) -> String {
    format!("extension={}\n", library.display())
}

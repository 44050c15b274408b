//! `cargo xtask install-php`: the extension where every php of this machine finds it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::extension::{self, setting};
use super::run::unable;
use crate::shell::Shell;
use crate::{Refusal, Subcommand, debian};

pub(crate) const SUBCOMMAND: Subcommand = Subcommand {
    name: "install-php",
    summary: "installs the extension for this machine's PHP",
    help: "\
Usage: cargo xtask install-php [--uninstall]

Builds the extension, copies it into PHP's folder of extensions, and writes a settings file into
the folder that the php command scans: `php -m` then lists stream_socket. Needs the right to write
there.

  --uninstall  removes both

Exit code: 0 done, 1 not possible, 2 wrong arguments.",
    run,
};

const FILE: &str = "stream_socket.so";
/// After openssl, by the order of names in which PHP reads the folder.
const SETTINGS: &str = "30-stream_socket.ini";

fn run(words: &[String]) -> Result<ExitCode, Refusal> {
    debian::ensure(&["php"].into())?;
    let library = PathBuf::from(ask("php-config", &["--extension-dir"])?).join(FILE);
    let scanned = "echo explode(',', PHP_CONFIG_FILE_SCAN_DIR)[0];";
    let settings = PathBuf::from(ask("php", &["-n", "-r", scanned])?).join(SETTINGS);
    match words {
        [] => install(&library, &settings)?,
        [word] if word == "--uninstall" => uninstall(&[&library, &settings])?,
        _ => return Err(Refusal::Usage(SUBCOMMAND.help.to_owned())),
    }
    Ok(ExitCode::SUCCESS)
}

fn install(library: &Path, settings: &Path) -> Result<(), Refusal> {
    let mut shell = Shell::open("install-php", "building the extension").map_err(unable)?;
    let built = extension::build(&mut shell).map_err(unable)?;
    shell.finish("install-php", "built");
    // A PHP that runs has the old file mapped: a new one takes its place whole.
    let beside = library.with_extension("new");
    fs::copy(&built, &beside)
        .and_then(|_| fs::rename(&beside, library))
        .map_err(|error| not_possible("write", library, &error))?;
    fs::write(settings, setting(library))
        .map_err(|error| not_possible("write", settings, &error))?;
    let modules = ask("php", &["-m"])?;
    if !modules.lines().any(|line| line == "stream_socket") {
        return Err(Refusal::Unable(format!(
            "php -m does not list stream_socket, though {} names it",
            settings.display()
        )));
    }
    println!(
        "Installed: {}\nLoaded by: {}",
        library.display(),
        settings.display()
    );
    Ok(())
}

fn uninstall(files: &[&Path]) -> Result<(), Refusal> {
    for file in files {
        match fs::remove_file(file) {
            Ok(()) => println!("Removed {}", file.display()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                println!("There is no {}", file.display());
            }
            Err(error) => return Err(not_possible("remove", file, &error)),
        }
    }
    Ok(())
}

fn not_possible(what: &str, file: &Path, error: &std::io::Error) -> Refusal {
    Refusal::Unable(format!("cannot {what} {}: {error}", file.display()))
}

fn ask(program: &str, words: &[&str]) -> Result<String, Refusal> {
    let output = Command::new(program)
        .args(words)
        .output()
        .map_err(|error| Refusal::Unable(format!("cannot start {program}: {error}")))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

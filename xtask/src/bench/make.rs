//! Builds what takes part: our command, the floors, the load and the peers.

use std::fs;
use std::path::{Path, PathBuf};

use super::ground::{Form, Ground};
use crate::shell::{Shell, Trouble};

/// What is made of `bench/c`: its name, its source, and what the compiler is told besides.
const FLOORS: &[(&str, &str, &[&str])] = &[
    ("accept", "accept.c", &[]),
    ("echo", "echo.c", &[]),
    ("udp_echo", "udp_echo.c", &[]),
    ("guard", "guard.c", &[]),
    ("hello-static", "hello.c", &["-static"]),
    ("hello-dynamic", "hello.c", &[]),
];

const MANIFEST: &str = "bench/Cargo.toml";

/// Builds all of it, in release form, from the tree that this is in.
pub(super) fn make(shell: &mut Shell, form: Form, cores: [usize; 2]) -> Result<Ground, Trouble> {
    let release = shell.target_folder().join("release");
    shell.run(shell.cargo(&["build", "--release", "-p", "stream-socket-cli"]))?;
    let ours = release.join("stream-socket");

    // Apart from the project's own, or each build would throw away what the other compiled.
    let target = shell.target_folder().join("bench");
    cargo(shell, &target, "bench-load")?;
    let tokio = match cargo(shell, &target, "bench-tokio") {
        Ok(()) => Ok(target.join("release/bench-tokio")),
        Err(trouble) => Err(format!("could not be built: {}", reason(trouble))),
    };
    let floors = target.join("c");
    compile(shell, &floors)?;
    Ok(Ground {
        form,
        root: shell.root().to_owned(),
        serve_help: serve_help(shell, &ours),
        ours,
        floors,
        load: target.join("release/bench-load"),
        tokio,
        cores,
    })
}

fn cargo(shell: &mut Shell, target: &Path, package: &str) -> Result<(), Trouble> {
    let mut command = shell.cargo(&["build", "--release", "--manifest-path", MANIFEST]);
    command
        .args(["--locked", "-p", package])
        .arg("--target-dir")
        .arg(target);
    shell.run(command)
}

fn compile(shell: &mut Shell, folder: &Path) -> Result<(), Trouble> {
    fs::create_dir_all(folder)
        .map_err(|error| Trouble::Failed(format!("cannot create {}: {error}", folder.display())))?;
    for (name, source, flags) in FLOORS {
        let mut command = shell.command("cc");
        command
            .args(["-O2", "-Wall", "-Wextra", "-Werror"])
            .args(*flags);
        command.arg("-o").arg(folder.join(name));
        command.arg(PathBuf::from("bench/c").join(source));
        shell.run(command)?;
    }
    Ok(())
}

/// What this build's `serve` can do; `None` if there is no such thing.
fn serve_help(shell: &mut Shell, ours: &Path) -> Option<String> {
    let mut question = shell.command(ours);
    question.args(["serve", "--help"]);
    shell.ask(question).filter(|help| help.contains("serve"))
}

pub(super) fn reason(trouble: Trouble) -> String {
    match trouble {
        Trouble::Failed(reason) | Trouble::Skipped { reason, .. } => reason,
    }
}

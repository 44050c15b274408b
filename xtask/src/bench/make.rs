//! Builds what takes part: our command, the floors, the load and the peers.

use std::fs;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use super::ground::{Form, Ground};
use super::row::Row;
use crate::php::frameworks;
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

/// Builds what takes part in the rows, in release form, from the tree that this is in.
pub(super) fn make(
    shell: &mut Shell,
    form: Form,
    cores: [usize; 2],
    rows: &[&Row],
) -> Result<Ground, Trouble> {
    let main = main_target(&shell.target_folder(), shell.root());
    member(shell, &main, "stream-socket-cli")?;
    let ours = main.join("release/stream-socket");
    // Apart from the project's own, or each build would throw away what the other compiled.
    let target = main.join("bench");
    cargo(shell, &target, "bench-load")?;
    let floors = target.join("c");
    compile(shell, &floors)?;
    certify(shell, &floors)?;
    let mut ground = Ground {
        form,
        root: shell.root().to_owned(),
        serve_help: serve_help(shell, &ours),
        ours,
        floors,
        load: target.join("release/bench-load"),
        tokio: Ok(target.join("release/bench-tokio")),
        rustls: Ok(target.join("release/bench-rustls")),
        extension: Ok(main.join("release/libstream_socket_php.so")),
        frameworks: Ok(frameworks::folder(shell)),
        cores,
    };
    let words = command_lines(&ground, rows);
    let takes_part = |part: &Result<PathBuf, String>| {
        let path = part.as_deref().unwrap_or(Path::new("")).to_string_lossy();
        words.iter().any(|word| word.contains(&*path))
    };
    let parts = [
        &ground.tokio,
        &ground.rustls,
        &ground.extension,
        &ground.frameworks,
    ];
    let parts = parts.map(takes_part);
    if parts[0] {
        ground.tokio = built(ground.tokio, cargo(shell, &target, "bench-tokio"));
    }
    if parts[1] {
        ground.rustls = built(ground.rustls, cargo(shell, &target, "bench-rustls"));
    }
    if parts[2] {
        ground.extension = built(ground.extension, member(shell, &main, "stream-socket-php"));
    }
    if parts[3] {
        ground.frameworks = built(ground.frameworks, frameworks::fetch(shell));
    }
    Ok(ground)
}

/// All words of the command lines in the rows, if everything could be built.
fn command_lines(ground: &Ground, rows: &[&Row]) -> Vec<String> {
    let cases = rows.iter().flat_map(|row| (row.cases)(ground));
    let contenders = cases.flat_map(|case| case.contenders);
    let lines = contenders.filter_map(|contender| contender.command.ok());
    lines.flatten().collect()
}

/// What was to be built, or why it could not be.
fn built(part: Result<PathBuf, String>, result: Result<(), Trouble>) -> Result<PathBuf, String> {
    match result {
        Ok(()) => part,
        Err(trouble) => Err(format!("could not be had: {}", trouble.reason())),
    }
}

/// Where to build what is measured. In a target folder outside the tree another checkout may have
/// built too, and cargo may find what that has left good enough (tried: it did).
fn main_target(folder: &Path, root: &Path) -> PathBuf {
    if folder.starts_with(root) {
        return folder.to_owned();
    }
    let tree = root.to_string_lossy().replace(MAIN_SEPARATOR, "-");
    folder.join(format!("bench-of{tree}"))
}

/// Builds a crate of the project itself.
fn member(shell: &mut Shell, target: &Path, package: &str) -> Result<(), Trouble> {
    let mut command = shell.cargo(&["build", "--release", "-p", package]);
    command.arg("--target-dir").arg(target);
    shell.run(command)
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

/// The kinds of keys, and how openssl is asked for one.
const KEYS: &[(&str, &[&str])] = &[
    ("ecdsa", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("rsa", &["rsa:2048"]),
];

/// Makes a certificate for a key of each kind, in one file with it.
fn certify(shell: &mut Shell, folder: &Path) -> Result<(), Trouble> {
    let failed = |error| Trouble::Failed(format!("cannot make a certificate: {error}"));
    for (name, kind) in KEYS {
        let (key, certificate) = (folder.join("key"), folder.join("certificate"));
        let mut command = shell.command("openssl");
        command.args(["req", "-x509", "-nodes", "-days", "2"]);
        command
            .args(["-subj", "/CN=localhost", "-newkey"])
            .args(*kind);
        command
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate);
        shell.run(command)?;
        let both = fs::read_to_string(&certificate).map_err(failed)?
            + &fs::read_to_string(&key).map_err(failed)?;
        fs::write(folder.join(format!("{name}.pem")), both).map_err(failed)?;
    }
    Ok(())
}

/// What this build's `serve` can do; `None` if there is no such thing.
fn serve_help(shell: &mut Shell, ours: &Path) -> Option<String> {
    let mut question = shell.command(ours);
    question.args(["serve", "--help"]);
    shell.ask(question).filter(|help| help.contains("serve"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_folder_that_checkouts_share_has_a_part_for_each() {
        for (folder, expected) in [
            ("/home/me/project/target", "/home/me/project/target"),
            ("/tmp/shared", "/tmp/shared/bench-of-home-me-project"),
        ] {
            let target = main_target(Path::new(folder), Path::new("/home/me/project"));
            assert_eq!(target, Path::new(expected));
        }
    }
}

//! Builds what takes part: our command, the floors, the load and the peers.

use std::fs;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

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
    let main = main_target(&shell.target_folder(), shell.root());
    let mut command = shell.cargo(&["build", "--release", "-p", "stream-socket-cli"]);
    command.arg("--target-dir").arg(&main);
    shell.run(command)?;
    let ours = main.join("release/stream-socket");

    let mut command = shell.cargo(&["build", "--release", "-p", "stream-socket-php"]);
    command.arg("--target-dir").arg(&main);
    let extension = match shell.run(command) {
        Ok(_) => Ok(main.join("release/libstream_socket_php.so")),
        Err(trouble) => Err(format!("could not be built: {}", reason(trouble))),
    };

    // Apart from the project's own, or each build would throw away what the other compiled.
    let target = main.join("bench");
    cargo(shell, &target, "bench-load")?;
    let tokio = match cargo(shell, &target, "bench-tokio") {
        Ok(()) => Ok(target.join("release/bench-tokio")),
        Err(trouble) => Err(format!("could not be built: {}", reason(trouble))),
    };
    let rustls = match cargo(shell, &target, "bench-rustls") {
        Ok(()) => Ok(target.join("release/bench-rustls")),
        Err(trouble) => Err(format!("could not be built: {}", reason(trouble))),
    };
    let floors = target.join("c");
    compile(shell, &floors)?;
    certify(shell, &floors)?;
    Ok(Ground {
        form,
        root: shell.root().to_owned(),
        serve_help: serve_help(shell, &ours),
        ours,
        floors,
        load: target.join("release/bench-load"),
        tokio,
        rustls,
        extension,
        cores,
    })
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

pub(super) fn reason(trouble: Trouble) -> String {
    match trouble {
        Trouble::Failed(reason) | Trouble::Skipped { reason, .. } => reason,
    }
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

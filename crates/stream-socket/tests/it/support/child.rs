//! A test's body in a process of its own: alone, as an ordinary user, or in its own network.
//!
//! The test starts this binary again with its own name; there the body is run.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::peer::program;

/// Set in a child to the name of the test whose body it is to run.
const BODY: &str = "STREAM_SOCKET_TEST_BODY";

/// The user and group called nobody and nogroup.
pub(crate) const NOBODY: u32 = 65534;

/// Brings the loopback interface of a new network up, and goes on.
const LOOPBACK_UP: &str = r#"PATH="$PATH:/usr/sbin:/sbin"; ip link set lo up && exec "$@""#;

/// Where a body is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surroundings {
    /// A process without other threads, in which what is closed is closed at once.
    ///
    /// Elsewhere a test that runs beside it may be about to start a program, and until that is
    /// executed the new process holds all descriptors, close-on-exec or not.
    Alone,
    /// A network and mounts of its own, as their administrator.
    OwnNetwork,
    /// A network of its own, without any privilege.
    OrdinaryUser,
}

/// Runs `body` in a child, and fails as it fails. To be called by a test, first and alone.
pub(crate) fn run<F: FnOnce()>(surroundings: Surroundings, body: F) {
    run_as(test_name::<F>(), surroundings, body);
}

/// The same, for a helper that is given the name of the test which calls it.
pub(crate) fn run_as(name: &str, surroundings: Surroundings, body: impl FnOnce()) {
    if is_body(name) {
        return body();
    }
    let folder = tempfile::tempdir().unwrap();
    let binary = match surroundings {
        Surroundings::OrdinaryUser => readable_copy(folder.path().to_owned()),
        _ => env::current_exe().unwrap(),
    };
    let mut arguments = wrapper(surroundings);
    arguments.push(binary.into());
    check(name, &command(name, arguments).output().unwrap());
}

/// Whether this process is the child that is to run the body of the test `name`.
pub(crate) fn is_body(name: &str) -> bool {
    env::var_os(BODY).is_some_and(|body| body == name)
}

/// The name of the test whose body is a closure of type `F`.
pub(crate) fn test_name<F>() -> &'static str {
    let path = std::any::type_name::<F>();
    let path = path.split_once("::").map_or(path, |(_, path)| path);
    path.trim_end_matches("::{{closure}}")
}

/// A command that runs the test `name` alone: `program_and_arguments`, of which this binary is
/// the last.
pub(crate) fn command(name: &str, program_and_arguments: Vec<OsString>) -> Command {
    // A body that hangs is ended, so that it ends nobody else's test.
    let mut command = Command::new(program("timeout"));
    command
        .args(["--foreground", "--kill-after=1", "240"])
        .args(program_and_arguments)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(BODY, name);
    command
}

/// Fails unless the one test was found and passed.
pub(crate) fn check(name: &str, output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{name} in a child, {}:\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

fn wrapper(surroundings: Surroundings) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    if surroundings == Surroundings::Alone {
        return words;
    }
    words.push(program("unshare").into());
    let is_root = nix::unistd::geteuid().is_root();
    // Only root may make a network at once; others need a user namespace around it.
    words.push(if is_root { "-mn" } else { "-rmn" }.into());
    program("ip");
    words.extend(["sh", "-c", LOOPBACK_UP, "sh"].map(OsString::from));
    if surroundings == Surroundings::OrdinaryUser {
        words.push(program("setpriv").into());
        words.extend(["--bounding-set=-all", "--inh-caps=-all"].map(OsString::from));
        if is_root {
            let ids = [
                format!("--reuid={NOBODY}"),
                format!("--regid={NOBODY}"),
                "--clear-groups".to_owned(),
            ];
            words.extend(ids.map(OsString::from));
        }
    }
    words
}

/// A copy of this binary that everybody may run: the original may be in a closed folder.
fn readable_copy(folder: PathBuf) -> PathBuf {
    let copy = folder.join("it");
    fs::copy(env::current_exe().unwrap(), &copy).unwrap();
    for path in [&folder, &copy] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    copy
}

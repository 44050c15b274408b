//! `php`: PHP in the command's place, with the extension.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::support::BINARY;

/// Cargo builds no cdylib for tests.
pub(crate) static EXTENSION: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "-p", "stream-socket-php"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(&root)
        .status()
        .unwrap();
    assert!(built.success(), "the extension can't be built");
    target
        .join("release/libstream_socket_php.so")
        .canonicalize()
        .unwrap()
});

/// The command with a home of its own, and nothing beside it.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::copy(BINARY, folder.path().join("bin/stream-socket")).unwrap();
        Self { folder }
    }

    fn with_extension() -> Self {
        let place = Self::new();
        place.put_extension("bin/libstream_socket_php.so");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put_extension(&self, name: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(&*EXTENSION, path).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin/stream-socket"));
        command
            .arg("php")
            .args(words)
            .env("HOME", self.folder.path())
            .env_remove("XDG_CACHE_HOME")
            .env_remove("PHP_INI_SCAN_DIR")
            .stdin(Stdio::null());
        command
    }

    fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }
}

fn said(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

const ASK: &str = "echo extension_loaded('stream_socket') ? 'loaded' : 'not', PHP_EOL;";

#[test]
fn the_extension_is_found_and_children_of_the_script_have_it_too() {
    let child =
        format!("{ASK} passthru(escapeshellarg(PHP_BINARY) . ' -r ' . escapeshellarg($argv[1]));");
    for name in [
        "bin/libstream_socket_php.so",
        "bin/stream_socket.so",
        "lib/stream-socket/stream_socket.so",
    ] {
        let place = Place::new();
        place.put_extension(name);
        let output = place.output(&["-r", &child, "--", ASK]);
        let loaded = ("loaded\nloaded\n".to_owned(), String::new());
        assert_eq!(said(&output), loaded, "{name}");
    }
    let place = Place::new();
    let extension = EXTENSION.display().to_string();
    let words = [
        "--extension",
        &extension,
        "--",
        "-n",
        "-r",
        "echo 'no ini';",
    ];
    assert_eq!(said(&place.output(&words)).0, "no ini");
}

#[test]
fn it_is_php_as_far_as_anybody_can_tell() {
    let place = Place::with_extension();
    let script = place.path("script.php");
    fs::write(
        &script,
        "<?php echo implode(',', array_slice($argv, 1)), '|', fgets(STDIN); exit(7);",
    )
    .unwrap();
    let script = script.display().to_string();
    let mut child = place
        .command(&[&script, "--help", "-x", "a b"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"input\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(said(&output).0, "--help,-x,a b|input\n");
    assert_eq!(output.status.code(), Some(7));

    // A signal meets PHP itself.
    let mut child = place
        .command(&["-r", "echo getmypid(), PHP_EOL; while (true) sleep(1);"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line.trim(), child.id().to_string());
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn what_is_missing_is_named() {
    let nowhere = Place::new();
    let garbage = nowhere.path("garbage.so");
    fs::write(&garbage, "no library").unwrap();
    let garbage = garbage.display().to_string();
    for (words, expected) in [
        (
            &["x.php"][..],
            "cannot find the extension for PHP: it is not in ",
        ),
        (
            &["--php", "/nonexistent/php", "x.php"],
            "cannot start /nonexistent/php, which Debian's php-cli has: No such file",
        ),
        (
            &["--php", "/bin/false", "x.php"],
            "it does not answer as PHP does",
        ),
        (
            &["--extension", "/nonexistent.so", "x.php"],
            "cannot load /nonexistent.so: No such file",
        ),
        (
            &["--extension", &garbage, "x.php"],
            "Unable to load dynamic library",
        ),
    ] {
        let output = nowhere.output(words);
        let (out, complaint) = said(&output);
        assert_eq!(
            (output.status.code(), out.as_str()),
            (Some(1), ""),
            "{complaint}"
        );
        assert!(complaint.starts_with("stream-socket: "), "{complaint}");
        assert!(complaint.contains(expected), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
    assert_eq!(nowhere.output(&[]).status.code(), Some(2));
}

#[test]
fn settings_are_not_taken_from_a_folder_that_others_write_to() {
    let place = Place::with_extension();
    assert!(place.output(&["-r", ASK]).status.success());
    let cache = place.path(".cache/stream-socket");
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let output = place.output(&["-r", ASK]);
    let (_, complaint) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("others may write there"), "{complaint}");
}

//! Names that are looked up within the time that connecting has.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use super::{LIBRARY, PHP, PHP_SETTINGS, bounded, expected, root, settings};

/// A network, a user and mounts of its own, in which a name server answers or does not.
const SURROUNDINGS: &str = "\
set -e
ip link set lo up
printf 'hosts: dns\\n' >\"$1/nsswitch.conf\"
printf 'nameserver 127.0.0.1\\noptions timeout:3 attempts:1\\n' >\"$1/resolv.conf\"
mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf
mount --bind \"$1/resolv.conf\" /etc/resolv.conf
shift
exec \"$@\"";

/// Whether PHP lives in a folder of another system's, where such mounts don't reach it.
#[allow(clippy::print_stderr, reason = "says why it is skipped")]
fn lives_elsewhere() -> bool {
    let mut command = Command::new(&*PHP);
    command.args(["-n", "-r", "echo fileinode('/etc');"]);
    let told = String::from_utf8_lossy(&bounded(command).stdout).into_owned();
    let elsewhere = told != std::fs::metadata("/etc").unwrap().ino().to_string();
    if elsewhere {
        eprintln!("skipped: this PHP has another /etc, and asks the name server that stands there");
    }
    elsewhere
}

fn script(name: &str) -> PathBuf {
    root().join("tests/php/names").join(name)
}

/// What a script of `tests/php/names` says there.
fn said(script: &str, is_ours: bool) -> String {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.join(format!("names.{script}.{is_ours}"));
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c"])
        .args([SURROUNDINGS, "sh"])
        .arg(&folder)
        .arg(&*PHP)
        .arg(self::script(script));
    if is_ours {
        command.env(PHP_SETTINGS, settings(&LIBRARY, "settings"));
    }
    let output = bounded(command);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_silent_name_server_is_waited_for_no_longer_than_connecting() {
    if lives_elsewhere() {
        return;
    }
    assert_eq!(
        said("slow.php", true),
        "failed, 110, Connection timed out, in time\nasked\n"
    );
    let stock = said("slow.php", false);
    assert!(stock.starts_with("failed, 0, "), "{stock}");
    assert!(stock.ends_with("late\nasked\n"), "{stock}");
}

#[test]
fn names_without_addresses_are_told_as_by_stock_php() {
    if lives_elsewhere() {
        return;
    }
    let stock = said("unknown.php", false);
    assert!(
        stock.contains("getaddrinfo for none.example failed"),
        "{stock}"
    );
    assert_eq!(said("unknown.php", true), stock);
}

#[test]
fn while_a_fiber_waits_for_a_name_others_go_on() {
    if lives_elsewhere() {
        return;
    }
    assert_eq!(
        said("fibers.php", true),
        expected(&script("fibers.php"), "expected")
    );
}

#[test]
fn addresses_are_tried_beside_each_other_where_a_context_asks_for_it() {
    if lives_elsewhere() {
        return;
    }
    const CONNECTED: &str = "connected to 127.0.0.N:4000\n";
    const TIMED_OUT: &str = "failed, 110\n";
    let outcomes = [TIMED_OUT, &CONNECTED.repeat(4), TIMED_OUT].concat();
    assert_eq!(said("raced.php", true), outcomes);
    assert_eq!(said("raced.php", false), TIMED_OUT.repeat(4));
}

//! Names that are looked up within the time that connecting has.

use std::process::Command;

use super::{LIBRARY, PHP, PHP_SETTINGS, bounded, root, settings};

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

fn said(is_ours: bool) -> String {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("names.{is_ours}"));
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c"])
        .args([SURROUNDINGS, "sh"])
        .arg(&folder)
        .arg(&*PHP)
        .arg(root().join("tests/php/names/slow.php"));
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
    assert_eq!(
        said(true),
        "failed, 110, Connection timed out, in time\nasked\n"
    );
    let stock = said(false);
    assert!(stock.starts_with("failed, 0, "), "{stock}");
    assert!(stock.ends_with("late\nasked\n"), "{stock}");
}

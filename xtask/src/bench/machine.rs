//! The machine and the peers, for whoever reads the numbers later.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::json::Json;
use crate::Refusal;

/// What tells the version of a peer.
const VERSIONS: &[(&str, &[&str])] = &[
    ("c-floor", &["cc", "--version"]),
    ("php", &["php", "--version"]),
    ("socat", &["dpkg-query", "--show", "socat"]),
    ("ncat", &["dpkg-query", "--show", "ncat"]),
    ("tcpserver", &["dpkg-query", "--show", "ucspi-tcp"]),
    ("rustc", &["rustc", "--version"]),
];

/// A core for the server and another for the load.
pub(super) fn cores() -> Result<[usize; 2], Refusal> {
    let allowed = allowed_cores();
    let first = allowed.first().copied().unwrap_or_default();
    let path = format!("/sys/devices/system/cpu/cpu{first}/topology/thread_siblings_list");
    let siblings = parse_cores(&fs::read_to_string(path).unwrap_or_default());
    choose(&allowed, &siblings).ok_or_else(|| {
        Refusal::Unable("the server and the load need a core each, and there is only one".into())
    })
}

pub(super) fn allowed_cores() -> BTreeSet<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .map(parse_cores)
        .unwrap_or_default()
}

/// Two threads of one core would share what is measured, so that is the last resort.
fn choose(allowed: &BTreeSet<usize>, siblings: &BTreeSet<usize>) -> Option<[usize; 2]> {
    let first = *allowed.first()?;
    let other = |core: &&usize| **core != first;
    let second = allowed
        .iter()
        .filter(other)
        .find(|core| !siblings.contains(core))
        .or_else(|| allowed.iter().find(other))?;
    Some([first, *second])
}

/// A list as the kernel writes it: `0-3,8`.
fn parse_cores(list: &str) -> BTreeSet<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// How busy the machine was in the last minute: above 0 somebody else is at work.
pub(super) fn other_work() -> Option<f64> {
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    load.split_whitespace().next()?.parse().ok()
}

pub(super) fn describe(cores: [usize; 2]) -> Json {
    let line = |path: &str| {
        fs::read_to_string(path)
            .map(|text| text.trim().to_owned())
            .ok()
    };
    let processor = line("/proc/cpuinfo").and_then(|text| {
        let (_, model) = text
            .lines()
            .find(|line| line.starts_with("model name"))?
            .split_once(':')?;
        Some(model.trim().to_owned())
    });
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    Json::Object(vec![
        ("processor", Json::option(processor, Json::Text)),
        ("cores_allowed", Json::Number(count as f64)),
        ("server_core", Json::Number(cores[0] as f64)),
        ("load_core", Json::Number(cores[1] as f64)),
        (
            "kernel",
            Json::option(line("/proc/sys/kernel/osrelease"), Json::Text),
        ),
        (
            "debian",
            Json::option(line("/etc/debian_version"), Json::Text),
        ),
        (
            "load_average_before",
            Json::option(other_work(), Json::Number),
        ),
    ])
}

/// Of ours the commit, of tokio what the lock says, of the others what they say.
pub(super) fn versions(root: &Path) -> Json {
    let root_text = root.to_string_lossy();
    let describe = ["git", "-C", &root_text, "describe", "--always", "--dirty"];
    let lock = fs::read_to_string(root.join("bench/Cargo.lock")).unwrap_or_default();
    let mut versions = vec![
        ("ours", Json::option(first_line(&describe), Json::Text)),
        ("tokio", Json::option(locked(&lock, "tokio"), Json::text)),
    ];
    for (name, command) in VERSIONS {
        versions.push((*name, Json::option(first_line(command), Json::Text)));
    }
    Json::Object(versions)
}

fn first_line(words: &[&str]) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    Some(line.trim().replace('\t', " "))
}

/// The version of a package in a Cargo.lock.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines
        .nth(1)?
        .strip_prefix("version = \"")?
        .strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_listed_as_the_kernel_does() {
        for (list, expected) in [("\t0-3,8\n", &[0, 1, 2, 3, 8][..]), ("5", &[5]), ("", &[])] {
            assert_eq!(
                parse_cores(list),
                expected.iter().copied().collect(),
                "{list}"
            );
        }
    }

    #[test]
    fn the_load_keeps_off_the_servers_core() {
        let cores = |list| parse_cores(list);
        for (allowed, siblings, expected) in [
            ("0-3", "0-1", Some([0, 2])),
            ("0-3", "0,2", Some([0, 1])),
            ("0-1", "0-1", Some([0, 1])),
            ("4", "4", None),
            ("", "", None),
        ] {
            assert_eq!(
                choose(&cores(allowed), &cores(siblings)),
                expected,
                "{allowed}"
            );
        }
    }

    #[test]
    fn the_lock_tells_the_version() {
        let lock = include_str!("../../../bench/Cargo.lock");
        assert!(locked(lock, "tokio").is_some_and(|version| version.starts_with("1.")));
        assert_eq!(locked(lock, "toki"), None);
    }
}

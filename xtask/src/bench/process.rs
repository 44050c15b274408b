//! What /proc says of a server and of all that it started: processor time and memory.
//!
//! The root of such a tree is `bench/c/guard.c`, which adopts what the server leaves behind. So a
//! process is alive in the tree, or was reaped by one that is, whose cutime and cstime have it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// USER_HZ of proc_pid_stat(5): 100 on every architecture that Debian releases.
const TICK: Duration = Duration::from_millis(10);
/// The ticks of user and system time are cut off each for itself.
const TICK_ERROR: Duration = Duration::from_millis(20);

/// The fields of /proc/PID/stat that count here.
#[derive(Debug, PartialEq)]
struct Stat {
    parent: u32,
    own_ticks: u32,
    reaped_ticks: u32,
}

/// User and system time of the tree, with that of all it has reaped.
pub(super) fn processor_time(root: u32) -> io::Result<Duration> {
    let stats = stats()?;
    let tree = tree(&stats, root);
    if tree.is_empty() {
        return Err(io::Error::other(format!("process {root} is gone")));
    }
    let time = |process: &u32| {
        let stat = stats.get(process)?;
        let own = finer(TICK * stat.own_ticks, run_time(*process));
        Some(own + TICK * stat.reaped_ticks)
    };
    Ok(tree.iter().filter_map(time).sum())
}

/// Resident memory and page tables of the tree without its root, in bytes.
pub(super) fn memory(root: u32) -> io::Result<u64> {
    let stats = stats()?;
    let below = tree(&stats, root)
        .into_iter()
        .filter(|process| *process != root);
    match below.filter_map(memory_of).sum() {
        0 => Err(io::Error::other(format!(
            "nothing below process {root} shows its memory"
        ))),
        bytes => Ok(bytes),
    }
}

/// The server's process below its guard: the first, since what the guard adopts comes later.
pub(super) fn first_child(root: u32) -> io::Result<u32> {
    let stats = stats()?;
    let child = stats.iter().find(|(_, stat)| stat.parent == root);
    child
        .map(|(process, _)| *process)
        .ok_or_else(|| io::Error::other(format!("nothing is below process {root}")))
}

/// How many processes there are below the root.
pub(super) fn descendants(root: u32) -> io::Result<usize> {
    Ok(tree(&stats()?, root).len().saturating_sub(1))
}

fn stats() -> io::Result<BTreeMap<u32, Stat>> {
    let mut stats = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(process) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // One that has ended between the two looks is no part of it any more.
        let text = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(stat) = parse_stat(&text) {
            stats.insert(process, stat);
        }
    }
    Ok(stats)
}

/// The name, which comes second, may hold anything, parentheses and spaces included.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    // The man page counts from 1; what follows the name begins with 3.
    let number = |field: usize| fields.get(field - 3)?.parse::<u32>().ok();
    Some(Stat {
        parent: number(4)?,
        own_ticks: number(14)? + number(15)?,
        reaped_ticks: number(16)? + number(17)?,
    })
}

fn tree(stats: &BTreeMap<u32, Stat>, root: u32) -> Vec<u32> {
    let mut tree: Vec<u32> = stats
        .contains_key(&root)
        .then_some(root)
        .into_iter()
        .collect();
    let mut looked_at = 0;
    while let Some(&parent) = tree.get(looked_at) {
        tree.extend(
            stats
                .iter()
                .filter(|(_, stat)| stat.parent == parent)
                .map(|(process, _)| *process),
        );
        looked_at += 1;
    }
    tree
}

/// The scheduler's own count is in nanoseconds, but of living threads only: where it says less
/// than the ticks, threads have ended.
fn finer(ticks: Duration, run_time: Option<Duration>) -> Duration {
    run_time
        .filter(|run_time| *run_time + TICK_ERROR >= ticks)
        .unwrap_or(ticks)
}

/// The first field of /proc/PID/task/TID/schedstat, over all threads.
fn run_time(process: u32) -> Option<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(folder(process).join("task")).ok()? {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanoseconds))
}

/// `None` of a process that has ended, reaped or not.
fn memory_of(process: u32) -> Option<u64> {
    let status = fs::read_to_string(folder(process).join("status")).ok()?;
    // VmRSS is a sum of counters that each core keeps for a while; the rollup looks at the pages.
    let resident = fs::read_to_string(folder(process).join("smaps_rollup"))
        .ok()
        .and_then(|rollup| kilobytes(&rollup, "Rss:"))
        .or_else(|| kilobytes(&status, "VmRSS:"))?;
    Some((resident + kilobytes(&status, "VmPTE:")?) * 1024)
}

fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn folder(process: u32) -> PathBuf {
    Path::new("/proc").join(process.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_fields() {
        let text = "4711 (a) S 1 (b)) R 42 4711 4711 0 -1 4194304 100 200 0 0 7 5 30 20 20 0 1 0";
        let expected = Stat {
            parent: 42,
            own_ticks: 12,
            reaped_ticks: 50,
        };
        assert_eq!(parse_stat(text), Some(expected));
        for text in ["", "4711 (a) S 1 2", "4711 a S 1"] {
            assert_eq!(parse_stat(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_tree_is_a_process_and_all_below_it() {
        let stat = |parent| Stat {
            parent,
            own_ticks: 0,
            reaped_ticks: 0,
        };
        let stats = BTreeMap::from([
            (1, stat(0)),
            (7, stat(1)),
            (5, stat(7)),
            (9, stat(5)),
            (8, stat(1)),
        ]);
        assert_eq!(tree(&stats, 7), [7, 5, 9]);
        assert_eq!(tree(&stats, 6), [0; 0]);
    }

    #[test]
    fn the_finer_count_is_taken_unless_threads_have_ended() {
        let milliseconds = Duration::from_millis;
        for (ticks, run_time, expected) in [
            (100, Some(117), 117),
            (100, Some(80), 80),
            (100, Some(79), 100),
            (100, None, 100),
        ] {
            let run_time = run_time.map(milliseconds);
            assert_eq!(
                finer(milliseconds(ticks), run_time),
                milliseconds(expected),
                "{ticks} {run_time:?}"
            );
        }
    }

    #[test]
    fn memory_is_read_in_kilobytes() {
        let status = "Name:\tx\nVmRSS:\t    1776 kB\nVmPTE:\t      48 kB\n";
        assert_eq!(kilobytes(status, "VmPTE:"), Some(48));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_has_used_time_and_memory() {
        let own = std::process::id();
        let start = processor_time(own).expect("it lives");
        while processor_time(own).expect("it lives") < start + Duration::from_millis(30) {}
        assert!(memory_of(own).expect("it lives") > 100 * 1024);
    }
}

//! The steps of `cargo xtask test`, in the order in which they run: cheap and telling ones first.
//!
//! All share one target folder, and what one step compiled the next uses: `features` checks with
//! clippy as `clippy` does, `doc` reads the same metadata, and the lock files of bench/ and fuzz/
//! have the dependencies of the main one. Only what is compiled with other settings, `release` and
//! the targets of `fuzz`, pays again. `phpize` comes behind `phpt`: it says which PHP it builds
//! for, and for that cargo builds the extension once more.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::shell::{Shell, Trouble, tells_of_tests};
use crate::{php, tools};

/// One check.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    /// What it does, for the announcement and for `--list`.
    pub(super) what: &'static str,
    pub(super) when: When,
    pub(super) run: fn(&mut Shell) -> Result<(), Trouble>,
}

/// When a step runs that is not asked for by name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum When {
    /// With `--quick` too: what one runs while working.
    Quick,
    Always,
    /// Not at all: it takes long to prepare.
    Asked,
}

const fn step(
    name: &'static str,
    what: &'static str,
    run: fn(&mut Shell) -> Result<(), Trouble>,
) -> Step {
    Step {
        name,
        what,
        when: When::Always,
        run,
    }
}

const fn quick(step: Step) -> Step {
    Step {
        when: When::Quick,
        ..step
    }
}

const fn asked(step: Step) -> Step {
    Step {
        when: When::Asked,
        ..step
    }
}

pub(super) const STEPS: &[Step] = &[
    quick(step("fmt", "formatting, as rustfmt.toml has it", fmt)),
    quick(step(
        "clippy",
        "lints, with default and with all features",
        clippy,
    )),
    quick(step(
        "test",
        "unit, integration and documentation tests",
        test,
    )),
    step("doc", "documentation, every link resolved", doc),
    step(
        "features",
        "the library without features and with each one alone",
        features,
    ),
    step("release", "the command as users build it", release),
    step(
        "phpt",
        "PHP's own tests of stream sockets, with the extension",
        php::phpt_step,
    ),
    step(
        "phpize",
        "the extension by PHP's own tools, as PIE builds it",
        php::phpize_step,
    ),
    step(
        "memory",
        "the scripts of tests/php under valgrind",
        php::memory_step,
    ),
    step(
        "deny",
        "licences, banned crates and sources of dependencies",
        deny,
    ),
    step(
        "advisories",
        "known vulnerabilities and yanked dependencies",
        advisories,
    ),
    step(
        "peers",
        "lints and tests of bench/, the peers and the load",
        peers,
    ),
    step(
        "fuzz",
        "lints of fuzz/, and ten seconds of each target on nightly",
        fuzz,
    ),
    asked(step(
        "php-8.4",
        "the extension on PHP 8.4, in a Debian 13 folder",
        php::debian13_step,
    )),
    asked(step(
        "build-zts",
        "the extension on a PHP for threads, from source",
        php::zts_step,
    )),
    asked(step(
        "build-debug",
        "the extension on a PHP that tells of leaks, from source",
        php::debug_step,
    )),
];

const FUZZ_MANIFEST: &str = "fuzz/Cargo.toml";
const BENCH_MANIFEST: &str = "bench/Cargo.toml";

fn fmt(shell: &mut Shell) -> Result<(), Trouble> {
    tools::ensure_component(shell, "fmt", "rustfmt")?;
    shell.run(shell.cargo(&["fmt", "--all", "--check"]))?;
    shell.run(shell.cargo(&["fmt", "--manifest-path", FUZZ_MANIFEST, "--check"]))?;
    // It is a workspace of several, which only `--all` reaches.
    shell.run(shell.cargo(&["fmt", "--manifest-path", BENCH_MANIFEST, "--all", "--check"]))
}

fn clippy(shell: &mut Shell) -> Result<(), Trouble> {
    tools::ensure_component(shell, "clippy", "clippy")?;
    for features in [&["--all-features"][..], &[]] {
        let mut command = shell.cargo(&["clippy", "--workspace", "--all-targets"]);
        command.args(features).args(["--", "-D", "warnings"]);
        shell.run(command)?;
    }
    Ok(())
}

/// Crowds of peers take more descriptors than the 1,024 that a login has.
const MANY_DESCRIPTORS: &str = "\
    ulimit -S -n 20000 2>/dev/null || ulimit -n 20000 2>/dev/null || ulimit -S -n $(ulimit -H -n); \
    exec \"$@\"";

fn test(shell: &mut Shell) -> Result<(), Trouble> {
    let cargo = shell.cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]);
    let mut command = shell.command("sh");
    command.args(["-c", MANY_DESCRIPTORS, "sh"]);
    command.arg(cargo.get_program()).args(cargo.get_args());
    match php::frameworks::fetch(shell) {
        Ok(()) => _ = command.env("PHP_FRAMEWORKS", php::frameworks::folder(shell)),
        Err(trouble) => {
            let line = "frameworks can't be fetched, their test is skipped";
            shell.note(&format!("{line}: {}", trouble.reason()));
        }
    }
    shell.run_showing(command, tells_of_tests)
}

/// The library comes last: the command's page has the same name, and the library's is to stay.
fn doc(shell: &mut Shell) -> Result<(), Trouble> {
    for packages in [
        &["--workspace", "--exclude", "stream-socket"][..],
        &["-p", "stream-socket"],
    ] {
        let mut command = shell.cargo(&["doc", "--no-deps", "--all-features"]);
        command.args(packages).env("RUSTDOCFLAGS", "-D warnings");
        shell.run(command)?;
    }
    Ok(())
}

fn features(shell: &mut Shell) -> Result<(), Trouble> {
    const LIBRARY: [&str; 4] = ["clippy", "-p", "stream-socket", "--no-default-features"];
    tools::ensure_component(shell, "clippy", "clippy")?;
    let manifest = read(&shell.root().join("crates/stream-socket/Cargo.toml"))?;
    let mut command = shell.cargo(&LIBRARY);
    command.args(["--", "-D", "warnings"]);
    shell.run(command)?;
    for feature in feature_names(&manifest) {
        let mut command = shell.cargo(&LIBRARY);
        command.args(["--features", feature, "--", "-D", "warnings"]);
        shell.run(command)?;
    }
    Ok(())
}

fn release(shell: &mut Shell) -> Result<(), Trouble> {
    shell.run(shell.cargo(&["build", "--release", "-p", "stream-socket-cli"]))
}

fn deny(shell: &mut Shell) -> Result<(), Trouble> {
    tools::ensure_cargo_tool(shell, &tools::DENY)?;
    shell.run(shell.cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
    // What only fuzzing links is never handed out, so its licences are not our users' concern.
    let mut command = shell.cargo(&["deny", "--manifest-path", FUZZ_MANIFEST]);
    command.args(["--config", "deny.toml", "check", "bans", "sources"]);
    shell.run(command)?;
    // A peer may well be what is banned here.
    let mut command = shell.cargo(&["deny", "--manifest-path", BENCH_MANIFEST]);
    command.args(["--config", "deny.toml", "check", "sources"]);
    shell.run(command)
}

fn advisories(shell: &mut Shell) -> Result<(), Trouble> {
    tools::ensure_cargo_tool(shell, &tools::DENY)?;
    if let Err(Trouble::Failed(reason)) = shell.run(shell.cargo(&["deny", "fetch", "db"])) {
        let cause = shell
            .findings()
            .into_iter()
            .rfind(|line| line.starts_with("fatal: "));
        let cause = cause.unwrap_or(reason);
        return Err(Trouble::Skipped {
            reason: format!("the advisory database could not be fetched ({cause})"),
            installable: false,
        });
    }
    shell.run(shell.cargo(&["deny", "check", "advisories"]))
}

fn peers(shell: &mut Shell) -> Result<(), Trouble> {
    tools::ensure_component(shell, "clippy", "clippy")?;
    for words in [&["clippy", "--all-targets"][..], &["test"]] {
        let mut command = shell.cargo(words);
        command.args(["--locked", "--manifest-path", BENCH_MANIFEST]);
        command.arg("--target-dir").arg(shell.target_folder());
        if words.contains(&"clippy") {
            command.args(["--", "-D", "warnings"]);
        }
        shell.run(command)?;
    }
    Ok(())
}

fn fuzz(shell: &mut Shell) -> Result<(), Trouble> {
    tools::ensure_component(shell, "clippy", "clippy")?;
    let mut lints = shell.cargo(&["clippy", "--manifest-path", FUZZ_MANIFEST]);
    lints.arg("--target-dir").arg(shell.target_folder());
    lints.args(["--", "-D", "warnings"]);
    shell.run(lints)?;
    tools::require_nightly(shell)?;
    tools::ensure_cargo_tool(shell, &tools::FUZZ)?;
    let question = shell.nightly_cargo(&["fuzz", "list"]);
    let list = shell.ask(question).unwrap_or_default();
    let targets: Vec<&str> = list.split_whitespace().collect();
    if targets.is_empty() {
        return Err(Trouble::Failed("`cargo fuzz list` names no target".into()));
    }
    shell.run(shell.nightly_cargo(&["fuzz", "build"]))?;
    let commands: Result<Vec<Command>, Trouble> = targets
        .iter()
        .map(|target| fuzz_target(shell, target))
        .collect();
    shell.run_together(commands?)
}

fn fuzz_target(shell: &Shell, target: &str) -> Result<Command, Trouble> {
    let folder = shell.root().join("fuzz");
    let (corpus, seeds) = (
        folder.join("corpus").join(target),
        folder.join("seeds").join(target),
    );
    // libFuzzer writes what it finds to the first folder it is given, and only reads the others.
    fs::create_dir_all(&corpus)
        .map_err(|error| Trouble::Failed(format!("cannot create {}: {error}", corpus.display())))?;
    let mut command = shell.nightly_cargo(&["fuzz", "run", target]);
    command.arg(corpus);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    // An input that takes five seconds is a finding too.
    command.args(["--", "-max_total_time=10", "-timeout=5"]);
    Ok(command)
}

fn read(path: &Path) -> Result<String, Trouble> {
    fs::read_to_string(path)
        .map_err(|error| Trouble::Failed(format!("cannot read {}: {error}", path.display())))
}

/// The keys of `[features]`, without `default`, which the other steps build.
fn feature_names(manifest: &str) -> Vec<&str> {
    manifest
        .lines()
        .skip_while(|line| line.trim() != "[features]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with([' ', '\t', '#', ']']))
        .filter_map(|line| Some(line.split_once('=')?.0.trim().trim_matches('"')))
        .filter(|name| *name != "default")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_read_from_the_manifest() {
        let manifest = "[features]\ndefault = [\"tls\"]\n# a = b\n\
                        tls = [\n  \"dep:rustls\", # a = b\n]\n\"tokio\" = []\n\n\
                        [dependencies]\nlibc = \"0.2\"\n";
        assert_eq!(feature_names(manifest), ["tls", "tokio"]);
        assert_eq!(feature_names("[package]\nname = \"x\"\n"), [""; 0]);
    }

    #[test]
    fn the_librarys_manifest_has_features() {
        let manifest = include_str!("../../../crates/stream-socket/Cargo.toml");
        assert!(feature_names(manifest).contains(&"simulation"));
    }
}

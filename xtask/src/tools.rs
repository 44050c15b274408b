//! What cargo and rustup install: the tools that the steps call, at pinned versions.

use crate::shell::{Shell, Trouble};

/// A cargo subcommand from crates.io.
#[derive(Debug)]
pub(crate) struct CargoTool {
    subcommand: &'static str,
    version: &'static str,
    /// How long its installation took on a machine with two cores.
    seen: &'static str,
}

pub(crate) const DENY: CargoTool = CargoTool {
    subcommand: "deny",
    version: "0.20.2",
    seen: "2 min 20 s",
};
pub(crate) const FUZZ: CargoTool = CargoTool {
    subcommand: "fuzz",
    version: "0.13.2",
    seen: "31 s",
};

/// Sees to it that `cargo SUBCOMMAND` works, in the version found or else the pinned one.
pub(crate) fn ensure_cargo_tool(shell: &mut Shell, tool: &CargoTool) -> Result<(), Trouble> {
    let CargoTool {
        subcommand,
        version,
        seen,
    } = tool;
    let question = shell.cargo(&[subcommand, "--version"]);
    if let Some(answer) = shell.ask(question) {
        let found = answer.trim();
        if found.split_whitespace().last() != Some(version) {
            shell.note(&format!(
                "  found {found}; {version} is what this step was written with"
            ));
        }
        return Ok(());
    }
    let package = format!("cargo-{subcommand}@{version}");
    shell.note(&format!(
        "  missing: cargo install --locked {package} (took {seen} on two cores)"
    ));
    let install = shell.cargo(&["install", "--locked", &package]);
    shell.run(install)
}

/// Sees to it that the toolchain's `cargo SUBCOMMAND` works: rustup's minimal profile lacks some.
pub(crate) fn ensure_component(
    shell: &mut Shell,
    subcommand: &str,
    component: &str,
) -> Result<(), Trouble> {
    let question = shell.cargo(&[subcommand, "--version"]);
    if shell.ask(question).is_some() {
        return Ok(());
    }
    shell.note(&format!("  missing: rustup component add {component}"));
    let mut add = shell.command("rustup");
    add.args(["component", "add", component]);
    shell.run(add)
}

/// A skip unless the nightly toolchain is there. It is large, so it is the user's to install.
pub(crate) fn require_nightly(shell: &mut Shell) -> Result<(), Trouble> {
    let question = shell.nightly_cargo(&["--version"]);
    if shell.ask(question).is_some() {
        return Ok(());
    }
    Err(Trouble::Skipped {
        reason: "no nightly Rust: rustup toolchain install nightly --profile minimal".into(),
        installable: true,
    })
}

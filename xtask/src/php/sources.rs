//! PHP's source, for its tests: from Debian's archive, into the target folder.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Shell, Trouble};

/// A source package, and the release of Debian that has it.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) package: String,
    pub(super) release: String,
}

impl Source {
    /// That of the machine's php command.
    pub(super) fn of_machine(shell: &mut Shell) -> Result<Self, Trouble> {
        let mut question = shell.command("php");
        let code = "echo 'php', PHP_MAJOR_VERSION, '.', PHP_MINOR_VERSION;";
        question.args(["-n", "-r", code]);
        let package = shell
            .ask(question)
            .ok_or_else(|| Trouble::Failed("php does not tell its version".into()))?;
        Ok(Self {
            package: package.trim().to_owned(),
            release: shell.release(),
        })
    }

    /// The unpacked source of the newest version that can really be fetched.
    ///
    /// The archive may list a version whose files it no longer has.
    pub(super) fn fetched(&self, shell: &mut Shell) -> Result<PathBuf, Trouble> {
        let package = &self.package;
        let folder = shell.target_folder().join("xtask/php-source").join(package);
        if let Some(unpacked) = unpacked(&folder) {
            return Ok(unpacked);
        }
        let apt = Apt::prepared(&folder, "deb-src", &self.release)?;
        let mut update = shell.command("apt-get");
        update.args(&apt.options).arg("update");
        shell.run(update)?;
        let mut question = shell.command("apt-cache");
        question.args(&apt.options).args(["madison", package]);
        let table = shell.ask(question).unwrap_or_default();
        for version in versions(&table) {
            let mut download = shell.command("apt-get");
            download
                .args(&apt.options)
                .args(["source", "--download-only"]);
            download
                .arg(format!("{package}={version}"))
                .current_dir(&folder);
            if shell.run(download).is_ok() {
                unpack(shell, &folder, package, version)?;
                return unpacked(&folder)
                    .ok_or_else(|| Trouble::Failed("PHP's source holds no run-tests.php".into()));
            }
        }
        Err(Trouble::Skipped {
            reason: format!("no source of {package} can be fetched from Debian's archive"),
            installable: false,
        })
    }
}

/// Settings of apt's that leave the machine's own alone.
pub(super) struct Apt {
    pub(super) options: Vec<String>,
}

impl Apt {
    /// For packages of a `kind`, `deb` or `deb-src`: what apt keeps, it keeps in the folder.
    pub(super) fn prepared(folder: &Path, kind: &str, release: &str) -> Result<Self, Trouble> {
        let (lists, list) = (folder.join("lists/partial"), folder.join("sources.list"));
        let text = format!(
            "{kind} http://deb.debian.org/debian {release} main\n\
             {kind} http://deb.debian.org/debian-security {release}-security main\n"
        );
        fs::create_dir_all(&lists)
            .and_then(|()| fs::create_dir_all(folder.join("cache/archives/partial")))
            .and_then(|()| fs::write(&list, text))
            .map_err(|error| {
                Trouble::Failed(format!("cannot write to {}: {error}", folder.display()))
            })?;
        let place = |name: &str, path: PathBuf| ["-o".into(), format!("{name}={}", path.display())];
        let options = [
            place("Dir::Etc::SourceList", list),
            place("Dir::Etc::SourceParts", "/dev/null".into()),
            place("Dir::State::Lists", folder.join("lists")),
            place("Dir::Cache", folder.join("cache")),
            ["-o".into(), "APT::Sandbox::User=root".into()],
        ];
        Ok(Self {
            options: options.into_iter().flatten().collect(),
        })
    }
}

/// The versions of `apt-cache madison`, the newest first.
fn versions(table: &str) -> Vec<&str> {
    let mut versions: Vec<&str> = table
        .lines()
        .filter(|line| line.ends_with("Sources"))
        .filter_map(|line| line.split('|').nth(1).map(str::trim))
        .collect();
    versions.sort_by_key(|version| Reverse(numbers(version)));
    versions.dedup();
    versions
}

/// What orders versions of one package in one release.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

fn unpack(shell: &mut Shell, folder: &Path, package: &str, version: &str) -> Result<(), Trouble> {
    let upstream = version.split('-').next().unwrap_or(version);
    let mut command = shell.command("tar");
    command
        .arg("-xf")
        .arg(folder.join(format!("{package}_{upstream}.orig.tar.xz")))
        .arg("-C")
        .arg(folder);
    shell.run(command)
}

fn unpacked(folder: &Path) -> Option<PathBuf> {
    let is_source = |path: &PathBuf| path.join("run-tests.php").is_file();
    entries(folder).into_iter().find(is_source)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_sources_are_read_in_order() {
        let table = "php8.2 | 8.2.9-1~deb12u1 | http://x bookworm/main Sources\n\
                     php8.2 | 8.2.32-1 | http://x bookworm/main amd64 Packages\n\
                     php8.2 | 8.2.36-1~deb12u1 | http://x bookworm-security/main Sources\n";
        assert_eq!(versions(table), ["8.2.36-1~deb12u1", "8.2.9-1~deb12u1"]);
        assert!(versions("").is_empty());
    }
}

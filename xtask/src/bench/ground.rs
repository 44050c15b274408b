//! What a run stands on: the form of it, and where the things that take part are.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::row::{Contender, OURS};

/// How long a run is and how often it is repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) span: Duration,
    pub(super) runs: usize,
}

/// All rows in some ten minutes: enough to see that nothing broke.
pub(super) const QUICK: Form = Form {
    name: "quick",
    span: Duration::from_millis(700),
    runs: 3,
};
/// What a number that is written down comes from.
pub(super) const FULL: Form = Form {
    name: "full",
    span: Duration::from_secs(3),
    runs: 9,
};

/// Into so many parts the span of a run is cut where all contenders stand at once and take turns.
pub(super) const SLICES: usize = 10;

#[derive(Debug)]
pub(super) struct Ground {
    pub(super) form: Form,
    pub(super) root: PathBuf,
    /// Our command, and what its `serve --help` says if it has that.
    pub(super) ours: PathBuf,
    pub(super) serve_help: Option<String>,
    /// The folder of what is made of `bench/c`.
    pub(super) floors: PathBuf,
    pub(super) load: PathBuf,
    /// Or why it could not be built: it needs crates that nothing else here needs.
    pub(super) tokio: Result<PathBuf, String>,
    /// rustls alone, or why it could not be built.
    pub(super) rustls: Result<PathBuf, String>,
    /// Our extension, or why it could not be built: it needs PHP's headers.
    pub(super) extension: Result<PathBuf, String>,
    /// What others have written in PHP, or why it could not be fetched.
    pub(super) frameworks: Result<PathBuf, String>,
    /// The cores of the server and of the load.
    pub(super) cores: [usize; 2],
}

impl Ground {
    /// Our command's `serve`, if this build knows `wanted` there.
    pub(super) fn ours(&self, wanted: &str, words: &[&str]) -> Contender {
        let Some(help) = &self.serve_help else {
            return Contender::absent(OURS, "not in this build: there is no `serve`");
        };
        if !help.contains(wanted) {
            return Contender::absent(OURS, &format!("not in this build: no {wanted} in `serve`"));
        }
        let ours = text(&self.ours);
        Contender::new(
            OURS,
            &[&[ours.as_str(), "serve", "--quiet"], words].concat(),
        )
    }

    pub(super) fn floor(&self, name: &'static str, words: &[&str]) -> Contender {
        let (program, rest) = words.split_first().unwrap_or((&"", &[]));
        let program = self.made(program);
        Contender::new(name, &[&[program.as_str()], rest].concat())
    }

    /// What was made of `bench/c` under that name.
    pub(super) fn made(&self, name: &str) -> String {
        text(&self.floors.join(name))
    }

    pub(super) fn tokio(&self, name: &'static str, mode: &str) -> Contender {
        match &self.tokio {
            Ok(program) => Contender::new(name, &[&text(program), mode, "127.0.0.1:{port}"]),
            Err(reason) => Contender::absent(name, reason),
        }
    }

    pub(super) fn rustls(&self, mode: &str, certificate: &str) -> Contender {
        match &self.rustls {
            Ok(program) => {
                let words = [&text(program), mode, "127.0.0.1:{port}", certificate];
                Contender::new("rustls", &words)
            }
            Err(reason) => Contender::absent("rustls", reason),
        }
    }

    /// A file with a certificate and its key, which is of this kind.
    pub(super) fn certificate(&self, key: &str) -> String {
        self.made(&format!("{key}.pem"))
    }

    /// Without php.ini, so that no extension of this machine takes part.
    pub(super) fn php(&self, script: &str) -> Contender {
        self.php_as("php", script)
    }

    /// The same under another name, where several scripts of stock PHP take part.
    pub(super) fn php_as(&self, name: &'static str, script: &str) -> Contender {
        let script = text(&self.root.join("bench/php").join(script));
        Contender::new(name, &["php", "-n", &script, "127.0.0.1:{port}"])
    }

    /// The same with our extension and nothing else.
    pub(super) fn extension(&self, script: &str) -> Contender {
        self.extension_with(&[], script)
    }

    /// The same, with settings of php.ini.
    pub(super) fn extension_with(&self, settings: &[&str], script: &str) -> Contender {
        let script = text(&self.root.join("bench/php").join(script));
        let path = match &self.extension {
            Ok(path) => path,
            Err(reason) => return Contender::absent(OURS, reason),
        };
        let extension = format!("extension={}", text(path));
        let mut words = vec!["php", "-n", "-d", &extension];
        words.extend(settings.iter().flat_map(|setting| ["-d", setting]));
        words.extend([script.as_str(), "127.0.0.1:{port}"]);
        Contender::new(OURS, &words)
    }

    /// ReactPHP on stock PHP, or on our extension.
    pub(super) fn react(&self, name: &'static str, is_ours: bool) -> Contender {
        let mut contender = match is_ours {
            true => self.extension("react.php"),
            false => self.php("react.php"),
        };
        contender.name = name;
        match &self.frameworks {
            Ok(folder) => contender
                .command
                .iter_mut()
                .for_each(|words| words.push(text(folder))),
            Err(reason) => contender.command = Err(reason.clone()),
        }
        contender
    }

    pub(super) fn milliseconds(&self) -> u128 {
        self.form.span.as_millis()
    }

    /// The same for a case that is measured in [slices](SLICES).
    pub(super) fn slice_milliseconds(&self) -> u128 {
        self.milliseconds() / SLICES as u128
    }
}

/// Paths of this project and its target folder are words of command lines and of the report.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// How many descriptors a process may have, which limits the connections of a server.
pub(super) fn descriptor_limit() -> Option<usize> {
    parse_descriptor_limit(&fs::read_to_string("/proc/self/limits").ok()?)
}

/// How many connections to put into a listener's queue: less than the 4096 that every server here
/// asks for, or than it gets.
pub(super) fn burst() -> usize {
    const BURST: usize = 3000;
    queue_limit().map_or(BURST, |limit| BURST.min(limit * 3 / 4).max(1))
}

/// The longest queue of connections that the kernel lets a listener have.
fn queue_limit() -> Option<usize> {
    let text = fs::read_to_string("/proc/sys/net/core/somaxconn").ok()?;
    text.trim().parse().ok()
}

fn parse_descriptor_limit(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::bench) fn ground(serve_help: Option<&str>) -> Ground {
        Ground {
            form: QUICK,
            root: "/project".into(),
            ours: "/target/stream-socket".into(),
            serve_help: serve_help.map(String::from),
            floors: "/target/c".into(),
            load: "/target/bench-load".into(),
            tokio: Err("no network".into()),
            rustls: Ok("/target/bench-rustls".into()),
            extension: Ok("/target/libstream_socket_php.so".into()),
            frameworks: Ok("/target/php-frameworks".into()),
            cores: [0, 1],
        }
    }

    #[test]
    fn what_this_build_lacks_is_said_and_not_run() {
        for (help, expected) in [
            (None, "not in this build: there is no `serve`"),
            (Some("daytime"), "not in this build: no CMD in `serve`"),
        ] {
            let contender = ground(help).ours("CMD", &["tcp://127.0.0.1:{port}", "--", "x"]);
            assert_eq!(contender.command, Err(expected.into()));
        }
        let contender = ground(Some("-- CMD")).ours("CMD", &["udp://[::]:{port}"]);
        let expected = [
            "/target/stream-socket",
            "serve",
            "--quiet",
            "udp://[::]:{port}",
        ];
        assert_eq!(contender.command, Ok(expected.map(String::from).into()));
    }

    #[test]
    fn the_hard_limit_is_the_one_that_counts() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 20000                files\n";
        assert_eq!(parse_descriptor_limit(limits), Some(20_000));
        assert_eq!(
            parse_descriptor_limit("Max open files  1024  unlimited  files"),
            None
        );
    }
}

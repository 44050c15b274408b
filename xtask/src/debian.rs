//! The Debian packages that the checks need: which are missing, and their installation.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Refusal;

/// A package, how to see that it is there, and what it is there for.
#[derive(Debug)]
struct Package {
    name: &'static str,
    /// A program that no other package of the list brings, an extension of PHP: `php:NAME`, or
    /// a file by its whole path.
    program: &'static str,
    /// The steps of `cargo xtask test` that use it, or `bench`.
    steps: &'static [&'static str],
    why: &'static str,
}

const PACKAGES: &[Package] = &[
    Package {
        name: "php-cli",
        program: "php",
        steps: &[
            "test",
            "bench",
            "php",
            "phpize",
            "phpt",
            "memory",
            "build-zts",
            "build-debug",
            "php-8.4",
        ],
        why: "stock PHP, as a peer and to compare behaviour with",
    },
    Package {
        name: "php-dev",
        program: "php-config",
        steps: &[
            "clippy",
            "test",
            "doc",
            "bench",
            "php",
            "phpize",
            "phpt",
            "memory",
            "php-8.4",
            "build-zts",
            "build-debug",
        ],
        why: "PHP's headers, which the extension is compiled against",
    },
    Package {
        name: "php-curl",
        program: "php:curl",
        steps: &["test", "memory"],
        why: "PHP's own curl, as a client of a server in PHP",
    },
    Package {
        name: "php-mysql",
        program: "php:mysqli",
        steps: &["test"],
        why: "PHP's drivers of MariaDB, which begin TLS on streams of ours",
    },
    Package {
        name: "php-xml",
        program: "php:dom",
        steps: &["phpt"],
        why: "the DOM, which a test of PHP's own reads a page into",
    },
    Package {
        name: "mariadb-server-core",
        program: "mariadbd",
        steps: &["test"],
        why: "MariaDB, which those drivers talk to",
    },
    Package {
        name: "valgrind",
        program: "valgrind",
        steps: &["memory"],
        why: "looks at what the extension does to PHP's memory",
    },
    Package {
        name: "xz-utils",
        program: "xz",
        steps: &["phpt", "php-8.4", "build-zts", "build-debug"],
        why: "unpacks PHP's source",
    },
    Package {
        name: "debootstrap",
        program: "debootstrap",
        steps: &["php-8.4"],
        why: "makes the folder with Debian 13",
    },
    Package {
        name: "make",
        program: "make",
        steps: &["phpize", "build-zts", "build-debug"],
        why: "builds PHP, and the extension as PHP does",
    },
    Package {
        name: "pkg-config",
        program: "pkg-config",
        steps: &["build-zts", "build-debug"],
        why: "tells PHP's configure where libraries are",
    },
    Package {
        name: "libssl-dev",
        program: "/usr/include/openssl/ssl.h",
        steps: &["build-zts", "build-debug"],
        why: "what PHP's openssl extension is built with",
    },
    Package {
        name: "libcurl4-openssl-dev",
        program: "curl-config",
        steps: &["build-zts", "build-debug"],
        why: "what PHP's curl extension is built with",
    },
    Package {
        name: "zlib1g-dev",
        program: "/usr/include/zlib.h",
        steps: &["build-zts", "build-debug"],
        why: "what PHP's zlib extension is built with",
    },
    Package {
        name: "socat",
        program: "socat",
        steps: &["test", "bench", "php-8.4", "build-zts", "build-debug"],
        why: "a peer for every kind of socket, half-close and abstract names included",
    },
    Package {
        name: "systemd",
        program: "systemd-socket-activate",
        steps: &["test"],
        why: "opens sockets for ours, as a service manager does",
    },
    Package {
        name: "haproxy",
        program: "haproxy",
        steps: &["test", "bench"],
        why: "a proxy before ours and behind, and one to measure ours beside",
    },
    Package {
        name: "libnginx-mod-stream",
        program: "/usr/lib/nginx/modules/ngx_stream_module.so",
        steps: &["bench"],
        why: "nginx's relay, to measure ours beside",
    },
    Package {
        name: "nginx-light",
        program: "nginx",
        steps: &["bench"],
        why: "what loads that module",
    },
    Package {
        name: "microsocks",
        program: "microsocks",
        steps: &["test"],
        why: "a SOCKS5 proxy that wants a name and password",
    },
    Package {
        name: "ncat",
        program: "ncat",
        steps: &["test", "bench"],
        why: "a peer for TCP, UDP and TLS",
    },
    Package {
        name: "netcat-openbsd",
        program: "nc.openbsd",
        steps: &["test"],
        why: "a peer for UDP and for unix datagrams",
    },
    Package {
        name: "strace",
        program: "strace",
        steps: &["test"],
        why: "counts system calls, a design figure",
    },
    Package {
        name: "iproute2",
        program: "ss",
        steps: &["test", "bench"],
        why: "shows backlogs and socket options from outside (ss), sets up interfaces (ip)",
    },
    Package {
        name: "curl",
        program: "curl",
        steps: &["test", "php-8.4", "build-zts", "build-debug"],
        why: "an HTTP and TLS client",
    },
    Package {
        name: "openssl",
        program: "openssl",
        steps: &["test", "bench"],
        why: "a TLS peer either way, and keys in every form",
    },
    Package {
        name: "ca-certificates",
        program: "/etc/ssl/certs/ca-certificates.crt",
        steps: &["test", "memory"],
        why: "the authorities that clients of TLS trust where they are told no other",
    },
    Package {
        name: "stunnel4",
        program: "stunnel",
        steps: &["test", "bench"],
        why: "a peer that puts TLS before another server",
    },
    Package {
        name: "gnutls-bin",
        program: "gnutls-cli",
        steps: &["test"],
        why: "another TLS peer, of another make",
    },
    Package {
        name: "sslscan",
        program: "sslscan",
        steps: &["test"],
        why: "looks for weaknesses of a TLS server",
    },
    Package {
        name: "python3",
        program: "python3",
        steps: &["test"],
        why: "peers that no ready-made program plays",
    },
    Package {
        name: "gunicorn",
        program: "gunicorn",
        steps: &["test"],
        why: "a server that takes its sockets from a service manager, as a worker of activate",
    },
    Package {
        name: "python3-systemd",
        program: "/usr/lib/python3/dist-packages/systemd/daemon.py",
        steps: &["test"],
        why: "sd_listen_fds(3) itself, to take the sockets that activate passes",
    },
    Package {
        name: "util-linux",
        program: "setpriv",
        steps: &["test", "bench", "php-8.4"],
        why: "runs as another user (setpriv), in another network (unshare), on a core (taskset)",
    },
    Package {
        name: "mount",
        program: "mount",
        steps: &["test", "php-8.4"],
        why: "gives a test names of its own (a hosts file in its own mounts)",
    },
    Package {
        name: "bsdutils",
        program: "script",
        steps: &["test"],
        why: "a terminal for the command's progress",
    },
    Package {
        name: "g++",
        program: "c++",
        steps: &["fuzz"],
        why: "compiles libFuzzer, which is C++",
    },
    Package {
        name: "gcc",
        program: "cc",
        steps: &[
            "clippy",
            "test",
            "doc",
            "bench",
            "php",
            "phpt",
            "memory",
            "php-8.4",
            "build-zts",
            "build-debug",
        ],
        why: "compiles the extension's shim, and the floors in bench/c",
    },
    Package {
        name: "ucspi-tcp",
        program: "tcpserver",
        steps: &["bench"],
        why: "a peer that starts a program for each connection",
    },
];

/// Where an administrator's programs are: absent from the `PATH` of an ordinary Debian user.
const ADMINISTRATOR_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Sees to it that every package wanted by one of `steps` is there: says what is missing and why,
/// then installs it as root, or says how to.
pub(crate) fn ensure(steps: &BTreeSet<&str>) -> Result<(), Refusal> {
    let missing = missing(steps, &search_path());
    if missing.is_empty() {
        return Ok(());
    }
    println!("Missing Debian packages:");
    for Package { name, why, .. } in &missing {
        println!("  {name:<20} {why}");
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let prefix = privilege(&names)?;
    println!("Installing them: {}", shell_line(prefix, &names));
    for words in apt_commands(&names) {
        run(prefix, &words)?;
    }
    let left = self::missing(steps, &search_path());
    if left.is_empty() {
        return Ok(());
    }
    let left: Vec<String> = left
        .iter()
        .map(|package| format!("{} ({})", package.program, package.name))
        .collect();
    Err(Refusal::Unable(format!(
        "installed, yet not on the PATH: {}",
        left.join(", ")
    )))
}

/// The table for `--list`.
pub(crate) fn print_table() {
    for Package {
        name,
        program,
        steps,
        why,
    } in PACKAGES
    {
        let steps = steps.join(", ");
        println!("  {name:<20} {program:<26} {why} ({steps})");
    }
}

fn missing(steps: &BTreeSet<&str>, folders: &[PathBuf]) -> Vec<&'static Package> {
    PACKAGES
        .iter()
        .filter(|package| package.steps.iter().any(|step| steps.contains(step)))
        .filter(|package| !is_there(package.program, folders))
        .collect()
}

fn is_there(program: &str, folders: &[PathBuf]) -> bool {
    match program.strip_prefix("php:") {
        Some(name) => {
            let code = format!("exit((int) !extension_loaded('{name}'));");
            succeeds("php", &["-r", &code])
        }
        None if program.starts_with('/') => Path::new(program).is_file(),
        None => is_program(program, folders),
    }
}

fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(ADMINISTRATOR_FOLDERS.map(PathBuf::from))
        .collect()
}

fn is_program(name: &str, folders: &[PathBuf]) -> bool {
    folders.iter().any(|folder| {
        folder
            .join(name)
            .metadata()
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}

/// What stands before `apt-get`: nothing for root, `sudo -n` where that asks for no password.
fn privilege(names: &[&str]) -> Result<&'static [&'static str], Refusal> {
    if !is_program("apt-get", &search_path()) {
        return Err(Refusal::Unable(
            "this system has no apt-get: install what these packages hold by its own means".into(),
        ));
    }
    if is_root() {
        Ok(&[])
    } else if succeeds("sudo", &["-n", "true"]) {
        Ok(&["sudo", "-n"])
    } else {
        Err(Refusal::Unable(format!(
            "only root can install them. Run this, then start again:\n\n  {}",
            shell_line(&["sudo"], names)
        )))
    }
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn apt_commands<'a>(names: &[&'a str]) -> [Vec<&'a str>; 2] {
    // `env` carries the variable through sudo, which clears the environment.
    let mut install = vec![
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "install",
        "-y",
    ];
    install.push("--no-install-recommends");
    install.extend(names);
    [vec!["apt-get", "update"], install]
}

fn shell_line(prefix: &[&str], names: &[&str]) -> String {
    apt_commands(names)
        .map(|words| [prefix, &words].concat().join(" "))
        .join(" && ")
}

fn run(prefix: &[&str], words: &[&str]) -> Result<(), Refusal> {
    let words = [prefix, words].concat();
    let unable = |why: String| Refusal::Unable(format!("cannot run `{}`: {why}", words.join(" ")));
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| unable("no program".into()))?;
    let status = Command::new(OsStr::new(program))
        .args(arguments)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| unable(error.to_string()))?;
    if status.success() {
        Ok(())
    } else {
        Err(unable(status.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_package_is_missing_unless_its_program_can_be_run() {
        let folder = env::temp_dir().join(format!("xtask-debian-{}", std::process::id()));
        fs::create_dir_all(folder.join("socat")).expect("a folder is no program");
        for (name, mode) in [("php", 0o755), ("curl", 0o644)] {
            let file = folder.join(name);
            fs::write(&file, "").expect("the folder is writable");
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("the file is ours");
        }
        let steps = BTreeSet::from(["test"]);
        let names: Vec<&str> = missing(&steps, std::slice::from_ref(&folder))
            .iter()
            .map(|package| package.name)
            .collect();
        fs::remove_dir_all(&folder).expect("the folder is ours");

        assert!(!names.contains(&"php-cli"), "php is there: {names:?}");
        assert!(names.contains(&"curl"), "curl can't be run: {names:?}");
        assert!(names.contains(&"socat"), "socat is a folder: {names:?}");
        assert!(!names.contains(&"g++"), "no step wants it: {names:?}");
    }

    #[test]
    fn the_command_to_run_is_one_line_for_a_shell() {
        assert_eq!(
            shell_line(&["sudo"], &["socat", "ncat"]),
            "sudo apt-get update && sudo env DEBIAN_FRONTEND=noninteractive \
             apt-get install -y --no-install-recommends socat ncat"
        );
    }

    #[test]
    fn no_two_packages_are_told_by_the_same_program() {
        let programs: BTreeSet<&str> = PACKAGES.iter().map(|package| package.program).collect();
        assert_eq!(programs.len(), PACKAGES.len());
    }
}

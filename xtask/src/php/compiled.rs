//! Builds of the machine's PHP that Debian has no packages of, made from Debian's source: ZTS, and
//! one that tells at its end what was not freed.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use super::extension::{self, Php};
use super::sources::Source;
use crate::shell::{Shell, Trouble};

/// A build, by what distinguishes it.
#[derive(Debug)]
pub(super) struct Build {
    name: &'static str,
    options: &'static [&'static str],
}

pub(super) const ZTS: Build = Build {
    name: "zts",
    // Threads are only there where a program starts them: one that has PHP as a library.
    options: &["--enable-zts", "--enable-embed"],
};
pub(super) const DEBUG: Build = Build {
    name: "debug",
    options: &["--enable-debug"],
};

/// What the tests need, and nothing more.
const OPTIONS: [&str; 12] = [
    "--disable-all",
    "--disable-opcache",
    "--disable-cgi",
    "--disable-phpdbg",
    "--enable-ctype",
    "--enable-pcntl",
    "--enable-posix",
    "--enable-sockets",
    "--with-openssl",
    "--with-curl",
    "--with-zlib",
    "--quiet",
];

/// That build with the extension, and the source that it is made of.
pub(super) fn prepared(shell: &mut Shell, build: &Build) -> Result<(Php, PathBuf), Trouble> {
    let source = Source::of_machine(shell)?.fetched(shell)?;
    let version = source.file_name().unwrap_or_default();
    let folder = shell
        .target_folder()
        .join(format!("xtask/php-{}", build.name))
        .join(version);
    // What it was made with is written when it is whole.
    let (stamp, options) = (folder.join("options"), [build.options, &OPTIONS].concat());
    if fs::read_to_string(&stamp).ok() != Some(options.join(" ")) {
        make(shell, build.name, &options, &source, &folder)?;
        fs::write(&stamp, options.join(" ")).map_err(|error| {
            Trouble::Failed(format!("cannot write {}: {error}", stamp.display()))
        })?;
    }
    let library = extension::build_for(shell, &folder.join("bin/php-config"), &folder)?;
    let command = folder.join("bin/php");
    Ok((Php { command, library }, source))
}

/// Compiles beside the source, and installs.
fn make(
    shell: &mut Shell,
    name: &str,
    options: &[&str],
    source: &Path,
    folder: &Path,
) -> Result<(), Trouble> {
    shell.note(&format!(
        "  compiling PHP, {} (5 to 10 min on two cores)",
        name
    ));
    let objects = folder.join("build");
    fs::create_dir_all(&objects).map_err(|error| {
        Trouble::Failed(format!("cannot create {}: {error}", objects.display()))
    })?;
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let mut configure = shell.command(source.join("configure"));
    configure.arg(format!("--prefix={}", folder.display()));
    configure.args(options);
    let mut compile = shell.command("make");
    compile.args(["--silent", &format!("-j{jobs}")]);
    let mut install = shell.command("make");
    install.args(["--silent", "install"]);
    for mut command in [configure, compile, install] {
        command.current_dir(&objects);
        shell.run(command)?;
    }
    Ok(())
}

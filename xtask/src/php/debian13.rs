//! PHP 8.4, as Debian 13 has it, in a folder of its own: for machines that have another.
//!
//! The extension is compiled outside, against the headers in the folder: what is linked to an
//! older C library runs on a newer one, not the other way.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::extension::{self, Php};
use super::sources::Source;
use crate::shell::{Shell, Trouble};

const RELEASE: &str = "trixie";
const PACKAGE: &str = "php8.4";

/// What is asked of debootstrap is little; apt takes the rest, security updates included. Without
/// the authorities that a system trusts, clients of TLS are left to OpenSSL. Of php8.4-dev only the
/// headers are wanted, not the compiler that it needs.
const INSTALL: &str = "\
export DEBIAN_FRONTEND=noninteractive
apt-get update &&
apt-get install -y --no-install-recommends php8.4-cli php8.4-curl openssl ca-certificates &&
cd /var/cache/apt/archives && apt-get download -o APT::Sandbox::User=root php8.4-dev &&
dpkg-deb -x php8.4-dev_*.deb / && apt-get clean";

/// Runs something in the folder. What it mounts there ends with it, as its namespace does.
const ENTER: &str = r#"#!/bin/sh
exec unshare --mount /bin/sh -c '
mount --rbind /dev "@ROOT@/dev" && mount --rbind /proc "@ROOT@/proc" || exit
for folder in /tmp "@WORK@" "@TARGET@"; do
    mkdir -p "@ROOT@$folder" && mount --bind "$folder" "@ROOT@$folder" || exit
done
exec chroot "@ROOT@" env --chdir="$PWD" "$@"' sh "$@"
"#;

const PHP: &str = "#!/bin/sh\nexec \"$(dirname \"$0\")/enter\" php \"$@\"\n";

const PHP_CONFIG: &str = "#!/bin/sh\nexec chroot \"@ROOT@\" php-config8.4 \"$@\" | \
    sed 's|-I/|-I@ROOT@/|g'\n";

/// That PHP with the extension, and a source whose tests it is to pass.
pub(super) fn prepared(shell: &mut Shell) -> Result<(Php, PathBuf), Trouble> {
    let mut question = shell.command("id");
    question.arg("-u");
    if shell.ask(question).is_none_or(|user| user.trim() != "0") {
        return Err(Trouble::Skipped {
            reason: "only root can make a folder with Debian 13, and enter it".into(),
            installable: false,
        });
    }
    let folder = shell.target_folder().join("xtask/php-8.4");
    let config = folder.join("php-config");
    write_commands(shell, &folder).map_err(failed_at(&folder))?;
    if !folder.join("root").is_dir() {
        make(shell, &folder)?;
    }
    install(shell, &folder)?;
    let library = extension::build_for(shell, &config, &folder)?;
    let command = folder.join("php");
    Ok((Php { command, library }, tests(shell)?))
}

fn write_commands(shell: &Shell, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, text) in [("enter", ENTER), ("php", PHP), ("php-config", PHP_CONFIG)] {
        let text = text
            .replace("@ROOT@", &folder.join("root").to_string_lossy())
            .replace("@WORK@", &shell.root().to_string_lossy())
            .replace("@TARGET@", &shell.target_folder().to_string_lossy());
        let file = folder.join(name);
        fs::write(&file, text)?;
        fs::set_permissions(&file, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Makes the folder; half of one is made anew.
fn make(shell: &mut Shell, folder: &Path) -> Result<(), Trouble> {
    shell.note("  making a Debian 13 in a folder (took 2 min 10 s, 400 MB)");
    let half = folder.join("half");
    let failed = failed_at(&half);
    if half.exists() {
        fs::remove_dir_all(&half).map_err(failed)?;
    }
    let mut command = shell.command("unshare");
    command.args(["--mount", "debootstrap", "--variant=minbase", RELEASE]);
    command.arg(&half).arg("http://deb.debian.org/debian");
    shell.run(command)?;
    let sources = format!(
        "deb http://deb.debian.org/debian {RELEASE} main\n\
         deb http://deb.debian.org/debian-security {RELEASE}-security main\n"
    );
    fs::write(half.join("etc/apt/sources.list"), sources).map_err(failed)?;
    fs::write(
        half.join("etc/hosts"),
        "127.0.0.1 localhost\n::1 localhost\n",
    )
    .map_err(failed)?;
    fs::rename(&half, folder.join("root")).map_err(failed)
}

/// Brings into the folder what is to be there, unless that has been done.
fn install(shell: &mut Shell, folder: &Path) -> Result<(), Trouble> {
    let done = folder.join("installed");
    if fs::read_to_string(&done).is_ok_and(|script| script == INSTALL) {
        return Ok(());
    }
    let mut command = shell.command("unshare");
    let script = format!("mount --rbind /proc \"$0/proc\" && exec chroot \"$0\" sh -c '{INSTALL}'");
    command.args(["--mount", "sh", "-c", &script]);
    command.arg(folder.join("root"));
    shell.run(command)?;
    fs::write(&done, INSTALL).map_err(failed_at(&done))
}

fn failed_at(path: &Path) -> impl Fn(io::Error) -> Trouble + Copy + '_ {
    move |error| Trouble::Failed(format!("{}: {error}", path.display()))
}

/// Its own tests, where they can be had; else those of the machine's PHP, of which whatever it
/// passes without the extension it is to pass with it.
fn tests(shell: &mut Shell) -> Result<PathBuf, Trouble> {
    let own = Source {
        package: PACKAGE.to_owned(),
        release: RELEASE.to_owned(),
    };
    match own.fetched(shell) {
        Err(Trouble::Skipped { reason, .. }) => {
            let other = Source::of_machine(shell)?;
            shell.note(&format!(
                "  {reason}: the tests are those of {}",
                other.package
            ));
            other.fetched(shell)
        }
        found => found,
    }
}

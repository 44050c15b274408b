//! What others have written on PHP's streams, to be run on ours: from Debian's packages, unpacked
//! in the target folder. They are not installed: one of them would bring a whole web site.

use std::path::{Path, PathBuf};

use super::sources::Apt;
use crate::shell::{Shell, Trouble};

const PACKAGES: [&str; 9] = [
    // ReactPHP with all that belongs to it, and Guzzle.
    "icingaweb2-module-reactbundle",
    "libphp-phpmailer",
    "php-amphp-amp",
    "php-psr-container",
    "php-psr-log",
    "php-symfony-deprecation-contracts",
    "php-symfony-http-client",
    "php-symfony-http-client-contracts",
    "php-symfony-service-contracts",
];

const FOLDER: &str = "xtask/php-frameworks";

/// The folder that they are in once they are fetched, as if it were `/`.
pub(crate) fn folder(shell: &Shell) -> PathBuf {
    shell.target_folder().join(FOLDER).join("unpacked")
}

pub(crate) fn fetch(shell: &mut Shell) -> Result<(), Trouble> {
    let unpacked = folder(shell);
    // Each has its licence there.
    let licences = unpacked.join("usr/share/doc");
    if PACKAGES.iter().all(|name| licences.join(name).is_dir()) {
        return Ok(());
    }
    let folder = shell.target_folder().join(FOLDER);
    let release = shell.release();
    let apt = Apt::prepared(&folder, "deb", &release)?;
    let mut update = shell.command("apt-get");
    update.args(&apt.options).arg("update");
    shell.run(update)?;
    let mut download = shell.command("apt-get");
    download.args(&apt.options).arg("download").args(PACKAGES);
    download.current_dir(&folder);
    shell.run(download)?;
    unpack(shell, &folder, &unpacked)
}

/// All of them or none: what is there is not fetched again.
fn unpack(shell: &mut Shell, folder: &Path, unpacked: &Path) -> Result<(), Trouble> {
    let mut command = shell.command("sh");
    let script = "rm -rf begun \"$0\"; \
                  for package in *.deb; do dpkg -x $package begun || exit; done; \
                  mv begun \"$0\"";
    command.args(["-c", script]).arg(unpacked);
    command.current_dir(folder);
    shell.run(command)
}

//! `stream-socket php`.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::args::PhpArguments;
use crate::failure::Failure;

/// Tells whether the extension is loaded, and PHP's folder of extensions.
const QUESTION: &str = "echo (int) extension_loaded('stream_socket'), ini_get('extension_dir');";
/// The name of the file as it is installed, and as cargo builds it.
const NAMES: [&str; 2] = ["stream_socket.so", "libstream_socket_php.so"];

/// Becomes PHP; it returns only if that is not possible.
pub(super) fn run(arguments: &PhpArguments) -> Result<(), Failure> {
    let mut command = Command::new(&arguments.program);
    command.args(&arguments.words);
    if let Some(scanned) = settings(arguments)? {
        command.env("PHP_INI_SCAN_DIR", scanned);
    }
    Err(not_started(&arguments.program, command.exec()))
}

/// What `PHP_INI_SCAN_DIR` has to be for the extension to be loaded; `None` where it is anyway.
///
/// The option `-d extension=` would not reach PHP processes that the script starts.
fn settings(arguments: &PhpArguments) -> Result<Option<OsString>, Failure> {
    let program = &arguments.program;
    let extension = match &arguments.extension {
        Some(extension) => existing(extension)?,
        None => {
            let (is_loaded, folder) = answer(program, None)?;
            if is_loaded {
                return Ok(None);
            }
            found(&folder)?
        }
    };
    let folder = own_folder(&extension)?;
    let file = folder.join("stream_socket.ini");
    write(&file, &extension).map_err(|error| cannot("write", &file, error))?;
    let mut scanned = env::var_os("PHP_INI_SCAN_DIR").unwrap_or_default();
    // Before the colon stands what is scanned already: nothing is what PHP was built with.
    scanned.push(":");
    scanned.push(&folder);
    match answer(program, Some(&scanned))? {
        (true, _) => Ok(Some(scanned)),
        (false, _) => Err(cannot(
            "load",
            &extension,
            io::Error::other("PHP ignores it"),
        )),
    }
}

/// Whether PHP has the extension, and where it looks for extensions.
fn answer(program: &Path, scanned: Option<&OsString>) -> Result<(bool, PathBuf), Failure> {
    let mut command = Command::new(program);
    command.args(["-d", "display_errors=stderr", "-r", QUESTION]);
    if let Some(scanned) = scanned {
        command.env("PHP_INI_SCAN_DIR", scanned);
    }
    let output = command
        .output()
        .map_err(|error| not_started(program, error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.split_at_checked(1) {
        Some(("1", folder)) => Ok((true, folder.into())),
        Some(("0", folder)) if scanned.is_none() => Ok((false, folder.into())),
        _ => Err(refused(program, &output)),
    }
}

/// What PHP itself says of an extension that it does not take, or of a question it can't answer.
fn refused(program: &Path, output: &Output) -> Failure {
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.lines().map(str::trim).find(|line| !line.is_empty());
    let reason = reason.unwrap_or("it does not answer as PHP does");
    Failure::System(
        format!("cannot load the extension into {}", program.display()),
        io::Error::other(reason.to_owned()),
    )
}

fn existing(extension: &Path) -> Result<PathBuf, Failure> {
    fs::canonicalize(extension).map_err(|error| cannot("load", extension, error))
}

/// The extension beside this command, where a package puts it, or in PHP's own folder.
fn found(extensions: &Path) -> Result<PathBuf, Failure> {
    let this = env::current_exe().unwrap_or_default();
    let beside = this.parent().unwrap_or(Path::new("."));
    let folders = [
        beside.to_owned(),
        beside.join("../lib/stream-socket"),
        extensions.to_owned(),
    ];
    let files = folders
        .iter()
        .flat_map(|folder| NAMES.iter().map(|name| folder.join(name)));
    for file in files {
        if let Ok(file) = fs::canonicalize(file) {
            return Ok(file);
        }
    }
    let [beside, library, extensions] = folders.map(|folder| folder.display().to_string());
    Err(Failure::System(
        "cannot find the extension for PHP".to_owned(),
        io::Error::other(format!(
            "it is not in {beside}, {library} or {extensions}; `cargo xtask install-php` builds \
             it, --extension names it"
        )),
    ))
}

/// A folder for this extension that nobody else writes to: PHP loads what is named in it. It stays,
/// for the PHP processes that a script starts.
fn own_folder(extension: &Path) -> Result<PathBuf, Failure> {
    let process = Path::new("/proc/self");
    let user = fs::metadata(process)
        .map_err(|error| cannot("look at", process, error))?
        .uid();
    let mut name = DefaultHasher::new();
    extension.hash(&mut name);
    let parent = parent_folder(user);
    let folder = parent.join(format!("php-{:016x}", name.finish()));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| cannot("make", &folder, error))?;
    for folder in [&parent, &folder] {
        let place = fs::metadata(folder).map_err(|error| cannot("look at", folder, error))?;
        if place.uid() != user || place.mode() & 0o022 != 0 {
            let reason = "others may write there, and PHP would load what they name";
            return Err(cannot("use", folder, io::Error::other(reason)));
        }
    }
    Ok(folder)
}

fn parent_folder(user: u32) -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    match cache.or(home).filter(|path| path.is_absolute()) {
        Some(folder) => folder.join("stream-socket"),
        None => env::temp_dir().join(format!("stream-socket-{user}")),
    }
}

/// In one step: PHP may read it at this moment.
fn write(file: &Path, extension: &Path) -> io::Result<()> {
    let text = format!("extension=\"{}\"\n", extension.display());
    if fs::read_to_string(file).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let beside = file.with_extension(format!("{}.new", std::process::id()));
    fs::write(&beside, text)?;
    fs::rename(beside, file)
}

fn cannot(what: &str, path: &Path, error: io::Error) -> Failure {
    Failure::System(format!("cannot {what} {}", path.display()), error)
}

fn not_started(program: &Path, error: io::Error) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => ", which Debian's php-cli has",
        _ => "",
    };
    Failure::System(format!("cannot start {}{hint}", program.display()), error)
}

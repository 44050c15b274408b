//! Files that options name.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};

use super::Errno;
use super::seam::{Call, call};

/// By what a file is told from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    is_folder: bool,
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The most bytes of a file that is read whole: many times what the authorities of a system take.
const MOST: u64 = 16 << 20;

/// The whole file, or `EFBIG`: there is no end of what /dev/zero has.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Errno> {
    call(Call::File, || {
        let bytes = read_up_to(path, MOST + 1)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        if bytes.len() as u64 > MOST {
            return Err(Errno::FBIG);
        }
        Ok(bytes)
    })
}

/// Has room for the file from the start: a key leaves no copy behind where the bytes grew from.
fn read_up_to(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len().min(most);
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// stat(2); `None` for what can't be looked at.
fn stamp(path: &Path) -> Option<Stamp> {
    let found = call(Call::File, || rustix::fs::stat(path)).ok()?;
    Some(Stamp {
        is_folder: FileType::from_raw_mode(found.st_mode).is_dir(),
        device: found.st_dev,
        inode: found.st_ino,
        size: found.st_size,
        modified: (found.st_mtime, found.st_mtime_nsec as i64),
        changed: (found.st_ctime, found.st_ctime_nsec as i64),
    })
}

/// What tells a file, or a folder and each file in it, from what they were before.
pub(crate) fn stamps(path: &Path) -> Vec<Option<Stamp>> {
    let own = stamp(path);
    let folder = own.filter(|own| own.is_folder);
    let files = folder.and_then(|_| std::fs::read_dir(path).ok());
    let files = files.into_iter().flatten().flatten();
    let files = files.map(|file| stamp(&file.path()));
    std::iter::once(own).chain(files).collect()
}

/// A file to be appended to, made for its owner alone if it is not there.
pub(crate) fn append_privately(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    call(Call::File, || rustix::fs::open(path, flags, mode)).map(File::from)
}
